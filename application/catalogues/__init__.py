"""Use-cases that list and choose: checkpoints, VAEs, embeddings, upscalers."""
