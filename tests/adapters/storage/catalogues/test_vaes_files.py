import hashlib
import json
import os

import pytest

from hexfusion.adapters.storage.catalogues.checkpoints_files import FileCatalog
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.adapters.storage.catalogues.vaes_files import FileVaes, VaeFolder, vae_folders
from hexfusion.domain.checkpoints import Checkpoint
from tests.contracts.vae_catalog import VaeCatalogContract, names


class Folder:
    def __init__(self, root):
        self.root = root

    def put(self, name, content=b""):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def remove(self, name):
        (self.root / name).unlink()

    def filename(self, name):
        return str(self.root / name)


@pytest.fixture
def world(tmp_path):
    return Folder(tmp_path / "models")


@pytest.fixture
def cache_file(tmp_path):
    return tmp_path / "cache.json"


@pytest.fixture
def open_catalog(world, cache_file):
    return lambda: FileVaes(vae_folders(world.root), HashCache(cache_file))


class TestFileVaes(VaeCatalogContract):
    pass


def test_the_folders_and_their_order(tmp_path):
    """Spec networks.md 1.6."""
    models, checkpoints, vaes = tmp_path / "models", tmp_path / "c", tmp_path / "v"
    own = (VaeFolder(models / "Stable-diffusion", True), VaeFolder(models / "VAE"))
    assert vae_folders(models) == own
    assert vae_folders(models, checkpoints, vaes) == (
        *own,
        VaeFolder(checkpoints, True),
        VaeFolder(vaes),
    )
    assert vae_folders(models, None, vaes) == (*own, VaeFolder(vaes))


def test_the_extra_folders_win(world, cache_file, tmp_path):
    world.put("VAE/a.pt")
    extra = Folder(tmp_path / "v")
    extra.put("deep/a.pt")
    catalog = FileVaes(vae_folders(world.root, None, extra.root), HashCache(cache_file))
    assert [vae.filename for vae in catalog.vaes()] == [extra.filename("deep/a.pt")]


def test_links_are_followed_and_what_is_no_file_is_left_out(world, open_catalog, tmp_path):
    elsewhere = Folder(tmp_path / "big-disk")
    elsewhere.put("x.pt")
    world.put("VAE/a.PT")
    (world.root / "VAE" / "more").symlink_to(elsewhere.root)
    (elsewhere.root / "back").symlink_to(world.root / "VAE")
    (world.root / "VAE" / "broken.pt").symlink_to(world.root / "nowhere")
    (world.root / "VAE" / "folder.pt").mkdir()
    os.mkfifo(world.root / "VAE" / "pipe.pt")
    (world.root / "VAE" / os.fsdecode(b"\xff.pt")).write_bytes(b"")
    catalog = open_catalog()
    assert names(catalog) == ["a.PT", "x.pt"]
    assert catalog.vaes()[1].filename == world.filename("VAE/more/x.pt")


def test_every_file_has_its_own_entry_in_the_cache(world, open_catalog, cache_file):
    """Spec networks.md 1.3: A1111 keeps one under the key `vae` for all of them, and can so
    report a stale hash. Here it is left alone, and belief in it too.
    """
    theirs = {"hashes": {"vae": {"mtime": 4e9, "sha256": "ab" * 32}}}
    cache_file.write_text(json.dumps(theirs))
    paths = [world.put("VAE/a.pt", b"one"), world.put("VAE/b.pt", b"two")]
    for path in paths:
        os.utime(path, (1e9, 1e9))
    catalog = open_catalog()
    assert [vae.sha256 for vae in catalog.vaes()] == [None, None]
    for vae, content in zip(catalog.vaes(), (b"one", b"two"), strict=True):
        assert catalog.hash(vae).sha256 == hashlib.sha256(content).hexdigest()
    kept = json.loads(cache_file.read_bytes())["hashes"]
    assert kept.pop("vae") == theirs["hashes"]["vae"]
    assert {key: entry["mtime"] for key, entry in kept.items()} == {
        f"vae/{path}": 1e9 for path in paths
    }
    assert list(open_catalog().vaes()) == list(catalog.vaes())


def test_a_file_that_was_replaced_is_read_again(world, open_catalog):
    path = world.put("VAE/a.pt", b"one")
    catalog = open_catalog()
    old = catalog.hash(catalog.vaes()[0])
    for content, mtime in ((b"two", 4e9), (b"six", 1e9)):  # of one size, newer and older
        path.write_bytes(content)
        os.utime(path, (mtime, mtime))
        assert catalog.hash(old).sha256 == hashlib.sha256(content).hexdigest()


def test_checkpoints_and_vaes_share_a_cache(world, cache_file):
    """With a cache for each the one would write over what the other remembers."""
    hashes = HashCache(cache_file)
    world.put("Stable-diffusion/c.ckpt", b"c")
    world.put("VAE/v.pt", b"v")
    checkpoints = FileCatalog([world.root / "Stable-diffusion"], hashes)
    vaes = FileVaes(vae_folders(world.root), hashes)
    vaes.hash(vaes.vaes()[0])
    checkpoints.hash(checkpoints.checkpoints()[0])
    assert set(json.loads(cache_file.read_bytes())["hashes"]) == {
        "checkpoint/c.ckpt",
        f"vae/{world.filename('VAE/v.pt')}",
    }


def test_notes_that_are_no_file_are_not_waited_for(world, open_catalog):
    world.put("Stable-diffusion/tiny.ckpt")
    os.mkfifo(world.root / "Stable-diffusion" / "tiny.json")
    tiny = Checkpoint(name="tiny.ckpt", filename=world.filename("Stable-diffusion/tiny.ckpt"))
    assert open_catalog().preference(tiny) is None


def test_the_recorded_vae(shared, tmp_path):
    """Recordings get/sdapi_v1_sd_vae and options/vae: name and hash."""
    catalog = FileVaes(
        vae_folders(shared / "golden/data/models"), HashCache(tmp_path / "cache.json")
    )
    (vae,) = catalog.vaes()
    assert vae.name == "othervae.safetensors"
    assert vae.filename == str(shared / "golden/data/models/VAE/othervae.safetensors")
    assert catalog.hash(vae).shorthash == "0daad66338"
