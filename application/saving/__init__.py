"""Saves the pictures of a job as files."""
