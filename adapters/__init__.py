"""The outside: HTTP, the GPU, the disk. Adapters know the inside, never each other."""
