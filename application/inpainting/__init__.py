"""Preparation of init pictures and masks for img2img and inpainting, and composition of results."""
