"""Always-on scripts: what every request of their kind may bring arguments for.

`registry` says which there are, `reading` how a request's arguments reach them, `script` what one
is. A script is a module here and a line in `registry`; see docs/adding-an-always-on-script.md.
"""
