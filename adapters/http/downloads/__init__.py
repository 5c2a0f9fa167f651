"""Downloads of pictures that requests name by URL, protected against SSRF."""
