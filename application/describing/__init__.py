"""Infotext of jobs, infotext read from pictures, and interrogation."""
