"""The parts of a backend, which share one device: inference, upscaler, interrogator, faces.

A package provides a backend by an entry point (see `backends`) that names a `MakeParts`.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from hexfusion.adapters.gpu.faces_fake import FakeFaceRestorer
from hexfusion.adapters.gpu.fake import FakeInference, read_file
from hexfusion.adapters.gpu.interrogator_fake import FakeInterrogator
from hexfusion.adapters.gpu.upscaler_fake import FakeUpscaler
from hexfusion.application.describing.interrogate import NoInterrogator
from hexfusion.application.pictures.faces import NoFaceRestorer
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.ports.faces import FaceRestorer
from hexfusion.application.ports.inference import Inference, ModelHost
from hexfusion.application.ports.interrogate import Interrogator
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.domain.flags import Flags


class Backend(Inference, ModelHost, Protocol):
    """The inference part: renders plans, and manages the models in memory."""


class Parts(Protocol):
    """All parts of a backend. `--backend` selects it."""

    @property
    def inference(self) -> Backend: ...
    @property
    def upscaler(self) -> Upscaler: ...
    @property
    def interrogator(self) -> Interrogator: ...
    @property
    def faces(self) -> FaceRestorer: ...


@dataclass(frozen=True)
class Files:
    """File operations of the storage adapter, passed to backends, which do not import it."""

    below: Callable[[Path, Callable[[str], bool]], Iterable[Path]]
    """(folder, predicate of file names) -> the matching files in the folder and its sub-folders."""
    write: Callable[[Path, bytes], None]
    """(path, content): writes a file atomically."""
    captioner: Callable[[], bytes]
    """Returns the bundled captioner, the content of a safetensors file."""


class MakeParts(Protocol):
    """The function or class that an entry point of the group `hexfusion.backends` names.

    It is called once at start, with the command-line flags, the options store, and file operations.
    It should not load models, since the server must answer soon. It may raise `FlagError` for flags
    that it cannot follow.
    """

    def __call__(self, flags: Flags, options: OptionsStore, files: Files, /) -> Parts: ...


@dataclass(frozen=True)
class OwnParts:
    """A backend with custom inference; parts that are not given report themselves as
    unavailable."""

    inference: Backend
    upscaler: Upscaler = field(default_factory=PlainUpscaler)
    interrogator: Interrogator = field(default_factory=NoInterrogator)
    faces: FaceRestorer = field(default_factory=NoFaceRestorer)


@dataclass(frozen=True)
class FakeParts:
    """The parts of the fake backend, which needs no torch."""

    inference: Backend = field(default_factory=lambda: FakeInference(read=read_file))
    upscaler: Upscaler = field(default_factory=FakeUpscaler)
    interrogator: Interrogator = field(default_factory=FakeInterrogator)
    faces: FaceRestorer = field(default_factory=FakeFaceRestorer)


def fake_parts(flags: Flags, options: OptionsStore, files: Files, /) -> FakeParts:
    """The `MakeParts` of `--backend fake`."""
    return FakeParts()


def parts_of(backend: Backend | Parts) -> Parts:
    """`backend` itself if it has all parts, else its inference with the other parts unavailable."""
    if missing(backend):
        return OwnParts(cast(Backend, backend))
    return cast(Parts, backend)


def missing(parts: object) -> list[str]:
    """Names of the members of `Parts` that an object lacks. Properties are not evaluated."""
    names = [name for name in vars(Parts) if isinstance(vars(Parts)[name], property)]
    return [name for name in names if inspect.getattr_static(parts, name, None) is None]
