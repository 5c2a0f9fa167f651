"""What a denoising network is given beside the latent: encoded texts, masks, depth, pictures."""
