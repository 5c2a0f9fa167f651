"""The OpenAPI document, generated from the structs that the routes work with."""
