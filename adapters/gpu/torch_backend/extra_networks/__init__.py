"""LoRAs, hypernetworks and embeddings: from files to what a job adds to shared networks.

`lora_keys` maps a file's tensors to layers, `store` keeps what was made. The arithmetic of each
kind of LoRA is in `patches.lora_kinds`.
"""
