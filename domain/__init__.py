"""Requests, plans and the rules that turn one into the other.

Standard library and msgspec only; no I/O, no clock, no randomness.
"""
