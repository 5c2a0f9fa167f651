"""Decoding latents and encoding pictures, by the VAE or by TAESD; previews; VAE files."""
