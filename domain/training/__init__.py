"""Parsing of training settings. Training itself is not implemented yet."""
