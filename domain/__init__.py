"""What a request means. Standard library and msgspec only; no I/O, no clock, no randomness."""
