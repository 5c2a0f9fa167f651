"""A line of the OpenAPI document: one method of one path."""

from typing import Any

import msgspec

Json = dict[str, Any]


class Parameter(msgspec.Struct, frozen=True):
    """A member of the query string or a header."""

    name: str
    about: str
    type: str = "string"
    default: object = None
    where: str = "query"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `returns` is a type, a media type, or a component's name."""

    path: str
    method: str = "get"
    id: str
    tag: str
    summary: str
    body: type | str | None = None
    body_required: bool = True
    example: Json = {}
    parameters: tuple[Parameter, ...] = ()
    returns: Any = None
    headers: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
