"""The OpenAPI document, generated from the structs of requests and replies, and its viewers."""
