"""Finds backends: the built-in ones, and those that installed packages declare.

A package declares one in its pyproject.toml, and `--backend clouds` then selects it:

    [project.entry-points."hexfusion.backends"]
    clouds = "their_package.their_module:make_parts"

The entry point names a `parts.MakeParts`. It is imported only if it is selected.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points

from hexfusion.adapters.gpu.parts import Files, MakeParts, Parts, missing
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.errors import HexfusionError
from hexfusion.domain.flags import FlagError, Flags

GROUP = "hexfusion.backends"

BUILT_IN: Mapping[str, str] = {
    "torch": "hexfusion.adapters.gpu.torch_backend.parts:TorchParts",
    "fake": "hexfusion.adapters.gpu.parts:fake_parts",
}
"""The built-in backends, as in pyproject.toml. Listed here so that they exist in a checkout that is
not installed, and cannot be replaced by packages."""


def make_parts(flags: Flags, options: OptionsStore, files: Files) -> Parts:
    """Create the parts of the backend that `--backend` names.

    Raises `FlagError` for a name that is declared by no package or by several, and for a backend
    that cannot be imported or created, naming its package.
    """
    entry = _find(flags.text("backend"))
    who = f"{entry.name!r} of {_package(entry)}"
    try:
        make: MakeParts = entry.load()
    except Exception as error:  # whatever a package may do when it is imported
        raise _broken(f"{who} cannot be imported", error) from error
    try:
        parts = make(flags, options, files)
    except HexfusionError:
        raise
    except Exception as error:
        raise _broken(f"{who} cannot be made", error) from error
    if lacks := missing(parts):
        raise FlagError("--backend", f"{who} gave {parts!r}, which has no {', '.join(lacks)}")
    return parts


def backend_names() -> Sequence[str]:
    """The names that `--backend` accepts, built-in ones first."""
    others = {entry.name for entry in _declared()} - BUILT_IN.keys()
    return [*BUILT_IN, *sorted(others)]


def _find(name: str) -> EntryPoint:
    wanted = name.lower()
    if wanted in BUILT_IN:
        return EntryPoint(wanted, BUILT_IN[wanted], GROUP)
    found = {_package(each): each for each in _declared() if each.name.lower() == wanted}
    if not found:
        raise FlagError("--backend", f"must be one of {', '.join(backend_names())}, not {name!r}")
    if len(found) > 1:
        message = f"{name!r} is declared by {' and by '.join(sorted(found))}: keep one of them"
        raise FlagError("--backend", message)
    return next(iter(found.values()))


def _declared() -> Sequence[EntryPoint]:
    return tuple(entry_points(group=GROUP))


def _package(entry: EntryPoint) -> str:
    """Name and version of the distribution that declares an entry point."""
    if entry.dist is None:
        return "hexfusion"
    return f"{entry.dist.name} {entry.dist.version}"


def _broken(what: str, error: Exception) -> FlagError:
    return FlagError("--backend", f"{what}: {type(error).__name__}: {error}")
