"""Pictures of a job become files."""
