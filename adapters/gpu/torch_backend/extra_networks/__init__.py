"""LoRA and its kin: what a job adds to the networks it shares.

`keys` finds which layer a tensor of a file is for, `kinds` has the arithmetic of each kind.
"""
