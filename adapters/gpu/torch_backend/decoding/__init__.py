"""Latents to pictures and pictures to latents, by the method that a plan names."""
