"""What a backend consists of: the adapters that share one device, and how a package brings them.

A package declares a backend of its own by an entry point (see `backends`) that names a `MakeParts`.
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
    """It renders, and keeps models in memory."""


class Parts(Protocol):
    """What `--backend` chooses."""

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
    """What a backend may have done with files, by the storage adapter, which it does not know."""

    below: Callable[[Path, Callable[[str], bool]], Iterable[Path]]
    """(folder, whether a file of that name is wanted) -> the files in the folder and below it."""
    write: Callable[[Path, bytes], None]
    """Makes bytes the content of a file, whole or not at all."""
    captioner: Callable[[], bytes]
    """The network that ships for interrogation, a safetensors file."""


class MakeParts(Protocol):
    """What an entry point of the group `hexfusion.backends` names: a function or a class.

    It is called once, with what the server was started with: the flags, the options as they are at
    any time, and what may be done with files. It should load nothing yet: the server is to answer
    at once. `FlagError` is for what the flags ask and it cannot do.
    """

    def __call__(self, flags: Flags, options: OptionsStore, files: Files, /) -> Parts: ...


@dataclass(frozen=True)
class OwnParts:
    """A backend of one's own: whatever else is not given is said not to be there."""

    inference: Backend
    upscaler: Upscaler = field(default_factory=PlainUpscaler)
    interrogator: Interrogator = field(default_factory=NoInterrogator)
    faces: FaceRestorer = field(default_factory=NoFaceRestorer)


@dataclass(frozen=True)
class FakeParts:
    """Those without torch."""

    inference: Backend = field(default_factory=lambda: FakeInference(read=read_file))
    upscaler: Upscaler = field(default_factory=FakeUpscaler)
    interrogator: Interrogator = field(default_factory=FakeInterrogator)
    faces: FaceRestorer = field(default_factory=FakeFaceRestorer)


def fake_parts(flags: Flags, options: OptionsStore, files: Files, /) -> FakeParts:
    """`--backend fake`."""
    return FakeParts()


def parts_of(backend: Backend | Parts) -> Parts:
    """All the parts of a backend, be it one of one's own or already that."""
    if missing(backend):
        return OwnParts(cast(Backend, backend))
    return cast(Parts, backend)


def missing(parts: object) -> list[str]:
    """The members of `Parts` that something lacks. None is made for it."""
    names = [name for name in vars(Parts) if isinstance(vars(Parts)[name], property)]
    return [name for name in names if inspect.getattr_static(parts, name, None) is None]
