"""Files of tensors: read without running anything in them, checked, and measured."""
