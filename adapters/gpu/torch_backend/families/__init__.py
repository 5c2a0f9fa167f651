"""The families of checkpoints: a module for each, or for several that share a layout.

`family` defines `Family`, `registry` lists all of them in the order of detection.
"""
