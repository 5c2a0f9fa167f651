"""The checkpoint that ships, put where a data directory has none."""

from importlib.resources import files

import pytest

from hexfusion.adapters.storage.starter import NAME, install_starter

pytestmark = pytest.mark.skipif(
    not (files("hexfusion.adapters.storage") / "assets" / NAME).is_file(),
    reason="no starter checkpoint yet",
)


def test_it_fills_an_empty_folder_once(tmp_path):
    folder = tmp_path / "models" / "Stable-diffusion"
    path = install_starter([folder])
    assert path == folder / NAME
    assert path.read_bytes() == (files("hexfusion.adapters.storage") / "assets" / NAME).read_bytes()
    assert install_starter([folder]) is None


@pytest.mark.parametrize("name", ["mine.safetensors", "deep/er/mine.CKPT"])
def test_it_leaves_a_folder_with_a_checkpoint_alone(tmp_path, name):
    own = tmp_path / "own"
    (own / name).parent.mkdir(parents=True)
    (own / name).touch()
    assert install_starter([own, tmp_path / "models"]) is None
    assert not (tmp_path / "models").exists()


def test_it_is_small_enough_to_ship():
    """Issue 2: at most 24 MB."""
    path = files("hexfusion.adapters.storage") / "assets" / NAME
    assert len(path.read_bytes()) <= 24_000_000
