"""Between JSON and the values that use-cases take and give."""
