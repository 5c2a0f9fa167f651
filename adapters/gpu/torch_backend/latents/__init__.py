"""Arithmetic on latents: the autoencoder's, img2img's first latents, masks, resizing."""
