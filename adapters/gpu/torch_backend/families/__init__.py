"""The families of checkpoints: one module for each or for those that share a layout.

`family` says what a family is, `registry` has them in the order of detection.
"""
