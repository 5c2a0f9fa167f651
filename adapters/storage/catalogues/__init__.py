"""Model files in folders: checkpoints, VAEs and extra networks, with hashes and metadata."""
