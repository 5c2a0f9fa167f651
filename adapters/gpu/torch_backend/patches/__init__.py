"""What a job has in force in the networks that it shares with other jobs."""
