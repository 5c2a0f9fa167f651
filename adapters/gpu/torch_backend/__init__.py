"""Stable Diffusion on torch: diffusers' networks under our own samplers."""
