"""Interrogation: captions and tags of pictures, by BLIP, CLIP and DeepDanbooru."""
