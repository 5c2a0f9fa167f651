"""Upscaling networks: files to networks, networks to larger pictures."""
