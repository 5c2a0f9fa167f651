"""Every request is a job: the queue, the board of jobs by id, progress, and what is kept."""
