"""The WSGI server: waitress, with bounds on what a connection may hold, and for how long.

`server.py` runs it. `listener.py` decides who may connect, `parser.py` what of a request is read,
`channel.py` is a connection, `deadlines.py` how long each of its phases may take, and `tasks.py`
what is answered. Why it is waitress, and how it is bounded: docs/adr/0022.
"""
