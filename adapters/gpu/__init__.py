"""Backends behind the inference port: torch, and the deterministic fake."""
