"""Falcon: JSON in, use-case called, JSON out."""
