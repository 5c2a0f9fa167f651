"""Faces found, straightened, drawn anew and put back. Source: spec images.md 11."""
