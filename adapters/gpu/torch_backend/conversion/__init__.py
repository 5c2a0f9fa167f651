"""Names of layers: the libraries' on one side, the original checkpoints' on the other.

Each map goes from a module path of the library's network to the module path in the file; it is
derived from the inferred architecture, not from a table of known models.
"""

from collections.abc import Mapping


def original_name(modules: Mapping[str, str], parameter: str) -> str:
    """The name in the checkpoint file of the library's `parameter`.

    The longest module path in `modules` that leads `parameter` is replaced, the rest kept.
    Raises `KeyError` when none leads it.
    """
    head, tail = parameter, ""
    while head not in modules:
        head, dot, last = head.rpartition(".")
        if not dot:
            raise KeyError(parameter)
        tail = f".{last}{tail}"
    return modules[head] + tail
