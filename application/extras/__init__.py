"""The use-case extras: enlarge pictures and restore faces in them."""
