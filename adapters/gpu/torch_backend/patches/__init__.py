"""A job's changes to networks that it shares with other jobs: LoRAs, embeddings, tweaks.

The changes are context variables that prepared layers read at each call, so the networks
themselves are never written to.
"""
