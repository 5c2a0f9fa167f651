"""Small networks that replace a VAE, in previews and optionally for results: TAESD, Approx NN.

Source: spec images.md 14, sampling.md 6.7 and 6.8.
"""
