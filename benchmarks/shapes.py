"""The shape of JSON: members in their order, types and nulls, without the values.

A picture, as base64 or as the recordings keep it, is a text. A text that holds JSON (`info`) has
the shape of what it holds.
"""

import json
from collections.abc import Iterator
from typing import Any


def differences(theirs: Any, ours: Any, where: str = "body") -> Iterator[str]:
    """How the shape of `ours` differs from that of `theirs`, in words."""
    theirs, ours = _plain(theirs), _plain(ours)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        yield from _objects(theirs, ours, where)
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from _lists(theirs, ours, where)
    elif _name(theirs) != _name(ours):
        yield f"{where}: {_name(ours)}, not {_name(theirs)}"


def _objects(theirs: dict[str, Any], ours: dict[str, Any], where: str) -> Iterator[str]:
    for name in theirs:
        if name not in ours:
            yield f"{where}.{name}: missing"
    for name in ours:
        if name not in theirs:
            yield f"{where}.{name}: not theirs"
    if theirs.keys() == ours.keys() and list(theirs) != list(ours):
        yield f"{where}: members in another order"
    for name in theirs:
        if name in ours:
            yield from differences(theirs[name], ours[name], f"{where}.{name}")


def _lists(theirs: list[Any], ours: list[Any], where: str) -> Iterator[str]:
    """Item by item; of lists of other lengths, every item of ours must be like one of theirs."""
    if len(theirs) != len(ours):
        yield f"{where}: {len(ours)} items, not {len(theirs)}"
        for item in ours:
            if theirs and not any(not list(differences(each, item)) for each in theirs):
                yield from differences(theirs[0], item, f"{where}[]")
        return
    for number, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        yield from differences(a, b, f"{where}[{number}]")


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and ("$file" in value or "$b64" in value):
        return ""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"
