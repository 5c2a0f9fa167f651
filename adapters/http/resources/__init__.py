"""The resources behind the routes: each reads a request, calls a use-case, writes the reply."""
