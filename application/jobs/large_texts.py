"""Large texts of a request, such as pictures in base64, replaced by their hashes.

Orders are compared by the fields of their requests. A hash does for that, and does not hold a
picture in memory for as long as its job waits.
"""

import hashlib

#: Longest text that is kept as it is, in characters.
LARGE = 4096


def digested(value: object) -> object:
    """`value` with every text over LARGE characters replaced by its length and its sha256, in all
    lists, tuples and mappings, whose other values stay as they are."""
    match value:
        case str() if len(value) > LARGE:
            content = value.encode("utf-8", "surrogatepass")
            return {"length": len(value), "sha256": hashlib.sha256(content).hexdigest()}
        case list() | tuple():
            return [digested(each) for each in value]
        case dict():
            return {name: digested(each) for name, each in value.items()}
        case _:
            return value
