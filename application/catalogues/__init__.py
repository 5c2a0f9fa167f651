"""Use-cases that list and choose models: checkpoints, VAEs, embeddings, upscalers."""
