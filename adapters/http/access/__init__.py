"""Who may call, how often, from which pages, and over what connection."""
