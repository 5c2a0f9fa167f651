"""Files and their in-memory twins behind the storage ports."""
