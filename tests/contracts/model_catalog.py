"""What every catalogue of checkpoints must do. Subclass it where the implementation's tests are."""

import hashlib
from collections.abc import Callable
from typing import Protocol

import pytest

from hexfusion.application.ports.checkpoints import ModelCatalog
from hexfusion.domain.errors import NotFound


class World(Protocol):
    """The place checkpoints lie in, seen from a test."""

    def put(self, name: str, content: bytes) -> None: ...
    def remove(self, name: str) -> None: ...


OpenCatalog = Callable[[], ModelCatalog]


def names(catalog: ModelCatalog) -> list[str]:
    return [checkpoint.name for checkpoint in catalog.checkpoints()]


class ModelCatalogContract:
    """Subclasses give the fixtures `world` and `open_catalog`, a catalogue over that world."""

    def test_an_empty_place_has_no_checkpoints(self, open_catalog: OpenCatalog):
        catalog = open_catalog()
        assert names(catalog) == []
        with pytest.raises(NotFound) as refused:
            catalog.resolve("anything")
        assert (refused.value.kind, refused.value.name) == ("checkpoint", "anything")

    def test_folders_then_files_in_natural_order(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 1.1."""
        for name in (
            "b10.safetensors", "B9.ckpt", "x/2.ckpt", "Y/3.ckpt", "a/1.safetensors",
            "a1.safetensors",
        ):  # fmt: skip
            world.put(name, b"")
        assert names(open_catalog()) == [
            "a1.safetensors", "B9.ckpt", "b10.safetensors", "a/1.safetensors", "x/2.ckpt",
            "Y/3.ckpt",
        ]  # fmt: skip

    def test_what_changes_is_seen_after_a_refresh(self, world: World, open_catalog: OpenCatalog):
        world.put("old.ckpt", b"")
        catalog = open_catalog()
        world.put("new.ckpt", b"")
        world.remove("old.ckpt")
        assert names(catalog) == ["old.ckpt"]
        catalog.refresh()
        assert names(catalog) == ["new.ckpt"]

    def test_dot_files_are_left_out(self, world: World, open_catalog: OpenCatalog):
        """macOS writes `._a.ckpt` beside each `a.ckpt` that it copies elsewhere."""
        for name in ("a.ckpt", "._a.ckpt", ".b.safetensors", "sub/._c.ckpt", "sub/c.ckpt"):
            world.put(name, b"")
        catalog = open_catalog()
        assert names(catalog) == ["a.ckpt", "sub/c.ckpt"]
        catalog.refresh(hidden=False)
        assert names(catalog) == ["a.ckpt", "sub/c.ckpt"]

    def test_dot_folders_can_be_left_out(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 1.1, option list_hidden_files."""
        world.put(".trash/old.ckpt", b"")
        world.put("good.ckpt", b"")
        catalog = open_catalog()
        assert names(catalog) == ["good.ckpt", ".trash/old.ckpt"]
        catalog.refresh(hidden=False)
        assert names(catalog) == ["good.ckpt"]
        catalog.refresh()
        assert names(catalog) == ["good.ckpt", ".trash/old.ckpt"]

    def test_the_hash_is_unknown_until_asked_for(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 1.2: computed at first load, then the title changes in place."""
        for name in ("a.ckpt", "b.ckpt", "c.ckpt"):
            world.put(name, name.encode())
        catalog = open_catalog()
        before = catalog.resolve("b.ckpt")
        assert (before.sha256, before.title) == (None, "b.ckpt")
        after = catalog.hash(before)
        assert after.sha256 == hashlib.sha256(b"b.ckpt").hexdigest()
        assert [each.title for each in catalog.checkpoints()] == ["a.ckpt", after.title, "c.ckpt"]
        assert catalog.resolve(after.sha256) == after

    def test_a_hash_survives_a_refresh(self, world: World, open_catalog: OpenCatalog):
        world.put("a.ckpt", b"abc")
        catalog = open_catalog()
        hashed = catalog.hash(catalog.resolve("a"))
        catalog.refresh()
        assert catalog.resolve("a") == hashed

    def test_a_file_that_is_gone_has_no_hash(self, world: World, open_catalog: OpenCatalog):
        world.put("a.ckpt", b"abc")
        catalog = open_catalog()
        found = catalog.resolve("a.ckpt")
        world.remove("a.ckpt")
        with pytest.raises(NotFound):
            catalog.hash(found)

    def test_the_legacy_hash_is_taken_from_the_middle(
        self, world: World, open_catalog: OpenCatalog
    ):
        """Spec networks.md 1.2: 0x10000 bytes at 0x100000, eight digits."""
        middle = bytes(range(256)) * 256
        world.put("a.ckpt", b"\0" * 0x100000 + middle + b"tail")
        found = open_catalog().resolve("a")
        assert found.legacy_hash == hashlib.sha256(middle).hexdigest()[:8]
        assert open_catalog().resolve(f"a.ckpt [{found.legacy_hash}]") == found
