"""What upscaling reads from the options (spec images.md 9, api.md 17.1)."""

import pytest

from hexfusion.domain.errors import OptionError
from hexfusion.domain.options import Options
from hexfusion.domain.upscalers import Tiling, UpscaleSettings, upscale_settings


def test_the_defaults_are_those_of_the_options():
    assert upscale_settings(Options()) == UpscaleSettings()


def test_options_are_read():
    settings = upscale_settings(
        Options(
            {
                "ESRGAN_tile": 64,
                "ESRGAN_tile_overlap": 4,
                "DAT_tile": 0,
                "SWIN_tile": 128,
                "SCUNET_tile_overlap": 16,
                "realesrgan_enabled_models": ["R-ESRGAN 2x+"],
                "dat_enabled_models": [],
            }
        )
    )
    assert settings == UpscaleSettings(
        esrgan=Tiling(64, 4),
        dat=Tiling(0, 8),
        swinir=Tiling(128, 8),
        scunet=Tiling(256, 16),
        enabled=("R-ESRGAN 2x+",),
    )


@pytest.mark.parametrize("overlap", [16, 48, -1])
def test_tiles_must_be_larger_than_their_overlap(overlap):
    """A1111 divides by nothing, or goes backwards."""
    with pytest.raises(OptionError) as caught:
        Options({"DAT_tile": 16, "DAT_tile_overlap": overlap})
    assert caught.value.key == "DAT_tile_overlap"
