"""From a checkpoint file's tensors to its networks: dimensions, tensor names, builders."""
