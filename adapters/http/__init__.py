"""The HTTP adapter (Falcon, waitress): routes, JSON, errors, access control, downloads."""
