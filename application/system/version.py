"""Whose behaviour this is."""

#: The A1111 whose behaviour we give; what infotext calls the version (docs/adr/0004).
A1111_VERSION = "v1.10.1"
