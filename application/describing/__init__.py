"""A job in words: infotext out, infotext in, and words that describe a picture."""
