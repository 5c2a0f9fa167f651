"""What a backend consists of: the adapters that share one device."""

from dataclasses import dataclass, field
from typing import Protocol

from hexfusion.adapters.gpu.faces_fake import FakeFaceRestorer
from hexfusion.adapters.gpu.fake import FakeInference, read_file
from hexfusion.adapters.gpu.interrogator_fake import FakeInterrogator
from hexfusion.adapters.gpu.upscaler_fake import FakeUpscaler
from hexfusion.application.ports.faces import FaceRestorer
from hexfusion.application.ports.inference import Inference, ModelHost
from hexfusion.application.ports.interrogate import Interrogator
from hexfusion.application.ports.upscale import Upscaler


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
class FakeParts:
    """Those without torch."""

    inference: Backend = field(default_factory=lambda: FakeInference(read=read_file))
    upscaler: Upscaler = field(default_factory=FakeUpscaler)
    interrogator: Interrogator = field(default_factory=FakeInterrogator)
    faces: FaceRestorer = field(default_factory=FakeFaceRestorer)
