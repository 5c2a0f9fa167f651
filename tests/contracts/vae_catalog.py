"""What every catalogue of VAEs must do. Subclass it where the implementation's tests are."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Protocol

import pytest

from hexfusion.application.ports.vaes import VaeCatalog
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import NotFound
from hexfusion.domain.vaes import VaeFile


class World(Protocol):
    """A models folder, seen from a test. Paths are below it."""

    def put(self, path: str, content: bytes) -> None: ...
    def remove(self, path: str) -> None: ...
    def filename(self, path: str) -> str: ...


OpenCatalog = Callable[[], VaeCatalog]


def names(catalog: VaeCatalog) -> list[str]:
    return [vae.name for vae in catalog.vaes()]


def holding(names: Iterable[str]) -> bytes:
    """A safetensors file with empty tensors of these names."""
    tensor = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps(dict.fromkeys(names, tensor)).encode()
    return len(header).to_bytes(8, "little") + header


UNET = "model.diffusion_model.out.2.weight"
ENCODER = "first_stage_model.encoder.conv_in.weight"
DECODER = "first_stage_model.decoder.conv_in.weight"


class VaeCatalogContract:
    """Subclasses give the fixtures `world` and `open_catalog`, a catalogue over that world."""

    @pytest.fixture
    def tiny(self, world: World) -> Checkpoint:
        path = "Stable-diffusion/sub/tiny.safetensors"
        world.put(path, b"")
        return Checkpoint(name="sub/tiny.safetensors", filename=world.filename(path))

    def test_an_empty_place_has_no_vaes(self, open_catalog: OpenCatalog):
        assert names(open_catalog()) == []

    def test_what_is_a_vae(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 1.6: among checkpoints only `*.vae.*`; hidden files nowhere."""
        for path in (
            "Stable-diffusion/a.vae.pt", "Stable-diffusion/b.safetensors",
            "Stable-diffusion/c.vae.yaml", "Stable-diffusion/vae.ckpt", "VAE/d.safetensors",
            "VAE/e.vae.ckpt", "VAE/f.txt", "VAE/._d.safetensors", "VAE/.trash/g.pt",
        ):  # fmt: skip
            world.put(path, b"")
        assert names(open_catalog()) == ["a.vae.pt", "e.vae.ckpt", "d.safetensors"]

    def test_the_order(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 1.6: folder by folder, in each one extension after the other."""
        for path in (
            "VAE/a.safetensors", "VAE/b10.pt", "VAE/b9.pt", "VAE/sub/a.pt", "VAE/z.ckpt",
            "VAE/C1.pt", "VAE/Sub2/a2.pt",
            "Stable-diffusion/z.vae.safetensors", "Stable-diffusion/sub/y.vae.ckpt",
        ):  # fmt: skip
            world.put(path, b"")
        assert names(open_catalog()) == [
            "y.vae.ckpt", "z.vae.safetensors", "z.ckpt", "b9.pt", "b10.pt", "C1.pt", "a.pt",
            "a2.pt", "a.safetensors",
        ]  # fmt: skip

    def test_of_equal_names_the_later_wins(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 1.6; it takes the earlier one's place, as in a dictionary."""
        for path in ("VAE/a.vae.pt", "Stable-diffusion/a.vae.pt", "Stable-diffusion/b.vae.pt"):
            world.put(path, path.encode())
        catalog = open_catalog()
        first, _ = catalog.vaes()
        assert names(catalog) == ["a.vae.pt", "b.vae.pt"]
        assert first.filename == world.filename("VAE/a.vae.pt")
        assert catalog.hash(first).sha256 == hashlib.sha256(b"VAE/a.vae.pt").hexdigest()

    def test_what_changes_is_seen_after_a_refresh(self, world: World, open_catalog: OpenCatalog):
        world.put("VAE/old.pt", b"")
        catalog = open_catalog()
        world.put("VAE/new.pt", b"")
        world.remove("VAE/old.pt")
        assert names(catalog) == ["old.pt"]
        catalog.refresh()
        assert names(catalog) == ["new.pt"]

    def test_the_hash_is_unknown_until_asked_for(self, world: World, open_catalog: OpenCatalog):
        for name in ("a", "b", "c"):
            world.put(f"VAE/{name}.pt", name.encode())
        catalog = open_catalog()
        a, b, c = catalog.vaes()
        assert (b.sha256, b.shorthash) == (None, None)
        hashed = catalog.hash(b)
        assert hashed.sha256 == hashlib.sha256(b"b").hexdigest()
        assert hashed.shorthash == hashed.sha256[:10]
        assert list(catalog.vaes()) == [a, hashed, c]
        catalog.refresh()
        assert list(catalog.vaes()) == [a, hashed, c]

    def test_a_file_that_is_gone_has_no_hash(self, world: World, open_catalog: OpenCatalog):
        world.put("VAE/a.pt", b"a")
        catalog = open_catalog()
        (found,) = catalog.vaes()
        world.remove("VAE/a.pt")
        with pytest.raises(NotFound) as refused:
            catalog.hash(found)
        assert (refused.value.kind, refused.value.name) == ("VAE", "a.pt")

    def test_a_file_that_is_not_listed_has_a_hash(self, world: World, open_catalog: OpenCatalog):
        """Flag `--vae-path` names any file."""
        catalog = open_catalog()
        world.put("elsewhere.bin", b"abc")
        hashed = catalog.hash(
            VaeFile(name="elsewhere.bin", filename=world.filename("elsewhere.bin"))
        )
        assert hashed.sha256 == hashlib.sha256(b"abc").hexdigest()
        assert names(catalog) == []

    @pytest.mark.parametrize(
        ("notes", "preference"),
        [
            (b'{"vae": "a.pt", "notes": "!"}', "a.pt"),
            (b'{"vae": "None"}', "None"),
            (b'{"description": "nice"}', None),
            (b'{"vae": null}', None),
            (b'{"vae": 5}', None),
            (b'["vae"]', None),
            (b"{", None),
            (b"\xff", None),
        ],
    )
    def test_the_preference_is_noted_beside_the_checkpoint(
        self, world: World, open_catalog: OpenCatalog, tiny: Checkpoint, notes: bytes, preference
    ):
        """Spec networks.md 1.6, step 3: `<checkpoint stem>.json`, key `vae`."""
        world.put("Stable-diffusion/sub/tiny.json", notes)
        world.put("Stable-diffusion/tiny.json", b'{"vae": "of another.pt"}')
        assert open_catalog().preference(tiny) == preference

    def test_without_notes_there_is_no_preference(self, open_catalog: OpenCatalog, tiny):
        assert open_catalog().preference(tiny) is None

    @pytest.mark.parametrize(
        ("content", "halves"),
        [
            (holding([UNET, ENCODER, DECODER]), {"encoder", "decoder"}),
            (holding([UNET]), set()),
            (holding([UNET, ENCODER]), {"encoder"}),
            (holding([UNET, DECODER, "first_stage_model.quant_conv.bias"]), {"decoder"}),
            (
                holding(["module." + name for name in (UNET, DECODER, ENCODER)]),
                {"encoder", "decoder"},
            ),
            (holding([ENCODER, DECODER]), None),
            (holding([]), None),
            (b"", None),
            (b"no safetensors file", None),
            ((1 << 60).to_bytes(8, "little"), None),
        ],
    )
    def test_the_halves_of_its_own_vae(
        self, world: World, open_catalog: OpenCatalog, tiny: Checkpoint, content: bytes, halves
    ):
        """As far as its header tells; what else is wrong with it is for whoever loads it."""
        world.put("Stable-diffusion/sub/tiny.safetensors", content)
        found = open_catalog().own_halves(tiny)
        assert (None if found is None else set(found)) == halves

    def test_a_checkpoint_that_changes_or_goes_is_read_again(
        self, world: World, open_catalog: OpenCatalog, tiny: Checkpoint
    ):
        catalog = open_catalog()
        path = "Stable-diffusion/sub/tiny.safetensors"
        world.put(path, holding([UNET]))
        assert catalog.own_halves(tiny) == []
        world.put(path, holding([UNET, ENCODER, DECODER]))
        assert len(catalog.own_halves(tiny) or ()) == 2
        world.remove(path)
        assert catalog.own_halves(tiny) is None
