"""Reading and checking files of tensors, without executing anything in them."""
