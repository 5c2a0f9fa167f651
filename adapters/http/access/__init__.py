"""Access control: authentication, rate limit, CORS, TLS, access log."""
