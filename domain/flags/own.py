"""Flags that A1111 does not have. `GET /cmd-flags` does not show them."""

from domain.flags.flag import Effect, Flag, Kind

_INTEGER, _WORKS = Kind.INTEGER, Effect.WORKS

OWN = (
    Flag("slots", _INTEGER, 1, "requests generating at once", _WORKS, least=1),
    Flag("queue", _INTEGER, 32, "requests that may wait; beyond it 429", _WORKS, least=0),
    Flag(
        "backend",
        Kind.TEXT,
        "torch",
        "what makes the pictures; fake draws discs at once and needs no torch",
        _WORKS,
        choices=("torch", "fake"),
    ),
    Flag("threads", _INTEGER, None, "threads for torch (default: torch's choice)", _WORKS, least=1),
    Flag("max_body", _INTEGER, 64, "largest request body, MiB", _WORKS, least=1),
    Flag("help", help="show this and leave", effect=_WORKS),
)
