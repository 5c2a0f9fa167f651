"""Always-on scripts, which take part in every request of their kind.

`registry` lists them, `reading` reads a request's arguments for them, `script` defines one. A
script is a module here and a line in `registry`; see docs/adding-an-always-on-script.md.
"""
