"""Conditioning: the encoded texts, masks, depth maps and pictures that guide a UNet."""
