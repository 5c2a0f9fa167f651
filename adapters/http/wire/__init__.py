"""Conversion between HTTP requests and replies and the values of use-cases."""
