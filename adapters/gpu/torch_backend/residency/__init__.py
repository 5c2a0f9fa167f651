"""Keeping checkpoints in memory: on the device or in RAM, and evicting them when it is short."""
