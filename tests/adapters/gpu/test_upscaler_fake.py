"""The upscaler without torch keeps the port's promises."""

import pytest

from hexfusion.adapters.gpu.upscaler_fake import FakeUpscaler
from tests.contracts.upscaler import UpscalerContract


class TestFakeUpscaler(UpscalerContract):
    @pytest.fixture
    def upscaler(self) -> FakeUpscaler:
        return FakeUpscaler(["zoom", "Zoo", "almost", "zoom2"])
