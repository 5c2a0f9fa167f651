"""Use-cases about the server itself: options, health, memory, what it is made of."""
