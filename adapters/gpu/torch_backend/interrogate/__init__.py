"""Networks that find words for pictures."""
