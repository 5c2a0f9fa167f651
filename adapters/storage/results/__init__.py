"""Finished pictures and jobs, in files or in memory."""
