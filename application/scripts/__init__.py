"""Selectable scripts: jobs that generate more than once, or with something around it.

`registry` says which there are, `stage` what each one works with, `session` runs one. A script is a
module here and, for its arguments, one in `domain/scripts`; see docs/adr/0017.
"""
