"""The catalogues of samplers and schedulers, name lookup, and step arithmetic."""
