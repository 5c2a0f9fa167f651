"""Starter checkpoint: a tiny latent diffusion model of a picture-book world, trained from scratch.

Run ``python -m tools.starter --help`` from the repository root.
"""
