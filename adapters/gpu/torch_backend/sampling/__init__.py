"""Samplers, schedules, noise and guidance. Knows no checkpoint, no file and no HTTP.

It can be used alone: `passes.sample_from_noise` with a function for a network.
"""
