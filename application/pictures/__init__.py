"""Operations on pictures: decoding, encoding, resizing, upscaling, grids, captions, tiles."""
