"""Sampling as policy: which samplers and schedules exist, and how many steps they take."""
