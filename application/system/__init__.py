"""Use-cases about the server itself: options, health, memory, system report, downloads."""
