"""The face restorer without torch keeps the port's promises."""

import pytest
from PIL import Image

from hexfusion.adapters.gpu.faces_fake import FakeFaceRestorer
from hexfusion.domain.errors import ModelUnavailable
from tests.contracts.face_restorer import Box, FaceRestorerContract
from tests.contracts.upscaler import photo


class TestFakeFaceRestorer(FaceRestorerContract):
    @pytest.fixture
    def restorer(self) -> FakeFaceRestorer:
        return FakeFaceRestorer()

    @pytest.fixture
    def portrait(self) -> Image.Image:
        return photo(64, 48)

    @pytest.fixture
    def box(self) -> Box:
        return 16, 12, 48, 36

    @pytest.fixture
    def faceless(self) -> Image.Image:
        return photo(24, 24)


def test_a_file_may_be_missing():
    restorer = FakeFaceRestorer(["GFPGAN"])
    assert list(restorer.list()) == ["GFPGAN"]
    with pytest.raises(ModelUnavailable, match="CodeFormer"):
        restorer.check("CodeFormer")
