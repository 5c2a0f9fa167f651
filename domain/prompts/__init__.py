"""The prompt language (see the modules)."""
