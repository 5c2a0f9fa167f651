"""Adapters of the storage ports: files, and in-memory implementations for tests."""
