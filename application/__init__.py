"""The use-cases: what the server does with a request, and the ports it needs."""
