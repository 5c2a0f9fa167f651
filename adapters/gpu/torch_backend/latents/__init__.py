"""Latents: VAE encoding and decoding, img2img's first latents, soft masks, latent upscaling."""
