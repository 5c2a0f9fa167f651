"""Samplers, schedules, noise and guidance, independent of checkpoints, files and HTTP.

It can be used alone, by `passes.sample_from_noise` with a function as the network.
"""
