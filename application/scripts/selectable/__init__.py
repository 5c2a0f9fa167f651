"""Scripts that a request selects by name: jobs that generate more than once."""
