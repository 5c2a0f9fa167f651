"""Pictures as values: bytes, sizes, grids, captions, tiles."""
