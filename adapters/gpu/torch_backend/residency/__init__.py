"""Which checkpoints are in memory, where they lie, and which go when memory is short."""
