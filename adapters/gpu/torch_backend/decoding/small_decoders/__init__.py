"""Small networks in a VAE's stead: for previews, and where the options say so for results.

Source: spec images.md 14, sampling.md 6.7 and 6.8.
"""
