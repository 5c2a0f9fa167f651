import logging

import pytest

from adapters.storage.vaes_memory import MemoryVaes
from application.vaes import Vaes
from domain.checkpoints import Checkpoint
from domain.errors import NotFound
from domain.options import Options
from domain.vaes import VaeFile

TINY = Checkpoint(name="sub/tiny.ckpt", filename="Stable-diffusion/sub/tiny.ckpt")
FORCED = VaeFile(name="forced.pt", filename="forced.pt")


@pytest.fixture
def files():
    return {"VAE/a.pt": b"a", "VAE/b.pt": b"b"}


def vaes(files, **settings):
    return Vaes(MemoryVaes(files), **settings)


def chosen(use, checkpoint=TINY, **options):
    found = use.for_job(Options(options), checkpoint)
    return found and found.name


def test_by_option(files):
    """Spec networks.md 1.6."""
    use = vaes(files)
    assert chosen(use) is None
    assert chosen(use, sd_vae="b.pt") == "b.pt"
    assert chosen(use, sd_vae="None") is None


def test_by_the_checkpoints_notes(files):
    files["Stable-diffusion/sub/tiny.json"] = b'{"vae": "a.pt"}'
    use = vaes(files)
    assert chosen(use) == "a.pt"
    assert chosen(use, sd_vae="b.pt") == "b.pt"
    assert chosen(use, sd_vae="b.pt", sd_vae_overrides_per_model_preferences=False) == "a.pt"


def test_by_name(files):
    """The base name counts, not the folder in the checkpoint's name."""
    files["VAE/tiny.pt"] = b""
    files["VAE/sub_tiny.pt"] = b""
    assert chosen(vaes(files)) == "tiny.pt"


def test_the_flag_beats_the_option(files):
    files["forced.pt"] = b"forced"
    assert chosen(vaes(files, forced=FORCED), sd_vae="a.pt") == "forced.pt"


def test_an_unknown_name_is_told_once_in_the_log(files, caplog):
    with caplog.at_level(logging.WARNING):
        assert chosen(vaes(files), sd_vae="nobody.pt") is None
    (line,) = caplog.messages
    assert "'nobody.pt'" in line


def test_the_hash_is_known_after_the_choice_and_shown_in_the_list(files):
    use = vaes(files)
    assert use.list()[0].sha256 is None
    found = use.for_job(Options({"sd_vae": "a.pt"}), TINY)
    assert found is not None
    assert found.shorthash == "ca978112ca"  # of the letter a
    assert use.list()[0] == found


def test_choosing_alone_reads_nothing(files):
    """A request is planned before it waits its turn; hashing belongs after that."""
    found = vaes(files).chosen(Options({"sd_vae": "a.pt"}), TINY)
    assert (found.name, found.sha256) == ("a.pt", None)


def test_without_hashing(files):
    """Flag --no-hashing."""
    found = vaes(files, hashing=False).for_job(Options({"sd_vae": "a.pt"}), TINY)
    assert (found.name, found.sha256) == ("a.pt", None)


def test_a_file_that_vanished_is_told(files):
    use = vaes(files)
    del files["VAE/a.pt"]
    with pytest.raises(NotFound, match=r"'a\.pt'"):
        chosen(use, sd_vae="a.pt")
    use.refresh()
    assert [each.name for each in use.list()] == ["b.pt"]
