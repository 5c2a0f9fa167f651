"""The use-cases txt2img and img2img."""
