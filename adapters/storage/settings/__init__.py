"""Options, styles and term lists, in files or in memory."""
