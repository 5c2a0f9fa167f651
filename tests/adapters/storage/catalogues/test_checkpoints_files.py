import hashlib
import json
import os

import pytest

from hexfusion.adapters.storage.catalogues.checkpoints_files import FileCatalog, checkpoint_folders
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from tests.contracts.model_catalog import ModelCatalogContract, names


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


@pytest.fixture
def world(tmp_path):
    return Folder(tmp_path / "models" / "Stable-diffusion")


@pytest.fixture
def cache_file(tmp_path):
    return tmp_path / "cache.json"


@pytest.fixture
def open_catalog(world, cache_file):
    return lambda: FileCatalog([world.root], HashCache(cache_file))


class TestFileCatalog(ModelCatalogContract):
    pass


def test_only_checkpoints_are_listed(world, open_catalog):
    """Spec networks.md 1.1: two extensions in any case, no VAEs, no folders or broken links."""
    for name in ("a.SafeTensors", "b.ckpt", "b.yaml", "c.vae.safetensors", "d.vae.ckpt", "e.pt"):
        world.put(name)
    (world.root / "folder.ckpt").mkdir()
    (world.root / "broken.ckpt").symlink_to(world.root / "nowhere")
    os.mkfifo(world.root / "pipe.ckpt")
    catalog = open_catalog()
    assert names(catalog) == ["a.SafeTensors", "b.ckpt"]
    assert [each.config for each in catalog.checkpoints()] == [None, str(world.root / "b.yaml")]


def test_links_are_followed_and_loops_are_not(world, open_catalog, tmp_path):
    """Spec networks.md 1.1; the name is the path the user sees, not where the link leads."""
    elsewhere = Folder(tmp_path / "big-disk")
    elsewhere.put("deep/x.ckpt", b"x")
    world.put("a.ckpt")
    (world.root / "more").symlink_to(elsewhere.root)
    (elsewhere.root / "back").symlink_to(world.root)
    (world.root / "link.ckpt").symlink_to(elsewhere.root / "deep" / "x.ckpt")
    catalog = open_catalog()
    assert names(catalog) == ["a.ckpt", "link.ckpt", "more/deep/x.ckpt"]
    assert catalog.resolve("more_deep_x").filename == str(world.root / "more/deep/x.ckpt")


def test_a_name_that_is_not_utf8_is_skipped(world, open_catalog):
    world.put("a.ckpt")
    (world.root / os.fsdecode(b"\xff.ckpt")).write_bytes(b"")
    assert names(open_catalog()) == ["a.ckpt"]


def test_the_folders_and_their_order(tmp_path):
    """Spec networks.md 1.1."""
    models, other = tmp_path / "models", tmp_path / "other"
    assert checkpoint_folders(models) == (models / "Stable-diffusion",)
    assert checkpoint_folders(models, other) == (other, models / "Stable-diffusion")
    nested = other / "experiments" / "pretrained_models"
    nested.mkdir(parents=True)
    assert checkpoint_folders(models, other) == (nested, models / "Stable-diffusion")


def test_the_selected_file_comes_first_and_once(world, cache_file, tmp_path):
    """Spec networks.md 1.1, --ckpt."""
    world.put("a.ckpt")
    inside = world.put("sub/z.ckpt")
    outside = Folder(tmp_path / "elsewhere").put("deep/o.ckpt")
    hashes = HashCache(cache_file)
    assert names(FileCatalog([world.root], hashes, selected=inside)) == ["sub/z.ckpt", "a.ckpt"]
    assert names(FileCatalog([world.root], hashes, selected=outside)) == [
        "o.ckpt",
        "a.ckpt",
        "sub/z.ckpt",
    ]


def test_of_two_files_with_one_name_the_later_stays(cache_file, tmp_path):
    """Spec networks.md 1.2: later-registered files win."""
    first, second = Folder(tmp_path / "1"), Folder(tmp_path / "2")
    first.put("a.ckpt", b"one")
    second.put("a.ckpt", b"two")
    catalog = FileCatalog([first.root, second.root], HashCache(cache_file))
    assert [each.filename for each in catalog.checkpoints()] == [str(second.root / "a.ckpt")]


def test_a_hash_is_remembered_on_disk_while_the_file_is_no_newer(world, open_catalog, cache_file):
    """Spec networks.md 1.3: key, value, and the rule of times."""
    path = world.put("sub/a.ckpt", b"one")
    hashed = open_catalog().hash(open_catalog().resolve("a"))
    stat = path.stat()
    assert json.loads(cache_file.read_bytes()) == {
        "hashes": {
            "checkpoint/sub/a.ckpt": {"mtime": stat.st_mtime, "sha256": hashed.sha256, "size": 3}
        }
    }
    assert open_catalog().resolve("a") == hashed
    path.write_bytes(b"two")
    os.utime(path, (stat.st_atime, stat.st_mtime + 5))
    assert open_catalog().resolve("a").sha256 is None
    again = open_catalog().hash(open_catalog().resolve("a"))
    assert again.sha256 == hashlib.sha256(b"two").hexdigest()


def test_a_file_replaced_by_an_older_one_is_noticed(world, open_catalog):
    path = world.put("a.ckpt", b"one")
    open_catalog().hash(open_catalog().resolve("a"))
    path.write_bytes(b"longer")
    os.utime(path, (0, 0))
    assert open_catalog().resolve("a").sha256 is None


def test_a_cache_file_of_a1111_is_used_and_kept(world, open_catalog, cache_file):
    """Spec networks.md 1.3."""
    path = world.put("a.ckpt", b"one")
    theirs = {
        "hashes": {"checkpoint/a.ckpt": {"mtime": path.stat().st_mtime, "sha256": "ab" * 32}},
        "safetensors-metadata": {"checkpoint/a.ckpt": {"mtime": 1.5, "value": {}}},
    }
    cache_file.write_text(json.dumps(theirs))
    assert open_catalog().resolve("a").shorthash == "ababababab"
    world.put("b.ckpt", b"two")
    catalog = open_catalog()
    catalog.hash(catalog.resolve("b"))
    ours = json.loads(cache_file.read_bytes())
    assert ours["safetensors-metadata"] == theirs["safetensors-metadata"]
    assert set(ours["hashes"]) == {"checkpoint/a.ckpt", "checkpoint/b.ckpt"}


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"hashes": []}', b'{"hashes": {"checkpoint/a.ckpt": {"sha256": 5}}}'],
)
def test_a_damaged_cache_counts_as_empty(world, open_catalog, cache_file, damage):
    world.put("a.ckpt", b"one")
    cache_file.write_bytes(damage)
    catalog = open_catalog()
    assert catalog.resolve("a").sha256 is None
    catalog.hash(catalog.resolve("a"))
    assert open_catalog().resolve("a").sha256 == hashlib.sha256(b"one").hexdigest()


def test_an_unwritable_cache_does_not_stop_hashing(world, tmp_path):
    world.put("a.ckpt", b"one")
    (tmp_path / "file").write_bytes(b"")
    catalog = FileCatalog([world.root], HashCache(tmp_path / "file" / "cache.json"))
    assert catalog.hash(catalog.resolve("a")).sha256 == hashlib.sha256(b"one").hexdigest()


def test_the_recorded_checkpoint(shared, tmp_path):
    """Recording get/sd-models: hash, title and config of `tiny`."""
    folder = tmp_path / "models" / "Stable-diffusion"
    folder.mkdir(parents=True)
    for name in ("tiny.safetensors", "tiny.yaml"):
        (folder / name).symlink_to(shared / "golden/data/models/Stable-diffusion" / name)
    catalog = FileCatalog(
        checkpoint_folders(tmp_path / "models"), HashCache(tmp_path / "cache.json")
    )
    hashed = catalog.hash(catalog.resolve("tiny"))
    assert (hashed.title, hashed.model_name) == ("tiny.safetensors [ffed4e688e]", "tiny")
    assert hashed.config == str(folder / "tiny.yaml")
    assert hashed.filename == str(folder / "tiny.safetensors")
