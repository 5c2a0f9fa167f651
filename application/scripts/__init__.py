"""Selectable scripts: jobs that generate more than once, or with something around it.

`selectable.registry` lists them, `selectable.script_run` is what a script works with, and
`selectable.selection` finds and runs the one that a request names. A script is a module here and,
for its arguments, one in `domain/scripts`; see docs/adr/0017.
"""
