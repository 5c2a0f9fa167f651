"""LoRAs, hypernetworks and embeddings: from files to what a job adds to shared networks.

`lora_keys` splits the keys of a file, `diffusers_layers` finds the layers they name, `store` keeps
what was made. The arithmetic of each kind of LoRA is in `patches.lora_kinds`.
"""
