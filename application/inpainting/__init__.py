"""What img2img and inpainting do to pictures before and after the network's work."""
