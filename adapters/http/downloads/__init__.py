"""Pictures fetched by address, from public addresses only."""
