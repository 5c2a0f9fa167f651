"""From the tensors of a checkpoint file to its networks: families, dimensions, names, builders."""
