"""Model files of strangers that are wrong, or evil: what does a server do with each?

`kinds` says where a kind of file lies and how it is asked for, the modules named after attacks make
the files, `trial` tries one on a server, `collection` has them all. `python -m` runs them.
"""
