"""What every catalogue of networks must do. Subclass it where the implementation's tests are."""

import io
import json
import pickle
import struct
import zipfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import NotFound
from hexfusion.domain.extra_networks import Embedding

OpenCatalog = Callable[[], NetworkCatalog]


class World(Protocol):
    """A models folder, seen from a test. Paths are below it."""

    def put(self, path: str, content: bytes) -> None: ...
    def remove(self, path: str) -> None: ...
    def filename(self, path: str) -> str: ...


def safetensors(shapes: Mapping[str, tuple[int, ...]], **metadata: str) -> bytes:
    """The header of a file of such tensors, which is all that is looked at."""
    entries: dict[str, Any] = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
        for name, shape in shapes.items()
    }
    if metadata:
        entries["__metadata__"] = metadata
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header


def torch_file(pickled: bytes) -> bytes:
    """A file as torch has written them since 1.6, without the numbers."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    return content.getvalue()


class Tensor:
    """Pickled as torch does a tensor."""

    def __init__(self, *sides: int) -> None:
        self.sides = sides


class _Pickler(pickle._Pickler):  # the one in Python can be told to name what is not there
    def save(self, value: object, save_persistent_id: bool = True) -> None:
        if not isinstance(value, Tensor):
            super().save(value, save_persistent_id)
            return
        self.write(b"ctorch._utils\n_rebuild_tensor_v2\n(")
        for part in (("storage", "0", "cpu"), 0, value.sides, (1,) * len(value.sides), False):
            super().save(part)
        self.write(b"tR")


def pickled(value: object, protocol: int = 2) -> bytes:
    content = io.BytesIO()
    _Pickler(content, protocol).dump(value)
    return content.getvalue()


TRAINED = {
    "string_to_token": {"*": 265},
    "string_to_param": {"*": Tensor(2, 64)},
    "name": "another name",
    "step": 100,
    "sd_checkpoint": "0123abcd",
    "sd_checkpoint_name": None,
}


class NetworkCatalogContract:
    """Subclasses give the fixtures `world` and `open_catalog`, a catalogue over that world."""

    def test_an_empty_place_has_nothing(self, open_catalog: OpenCatalog):
        catalog = open_catalog()
        assert [*catalog.loras(), *catalog.hypernetworks(), *catalog.embeddings()] == []

    def test_loras_and_their_order(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 2.1: --lora-dir first, in natural order, then the LyCORIS folder."""
        for path in (
            "Lora/b10.safetensors", "Lora/B9.pt", "Lora/sub/a.ckpt", "LyCORIS/A.safetensors",
            "Lora/a1.pt",
            "Lora/readme.txt", "Lora/._b9.pt", "Lora/noise.bin",
        ):  # fmt: skip
            world.put(path, safetensors({}))
        found = open_catalog().loras()
        assert [each.name for each in found] == ["a1", "B9", "b10", "a", "A"]
        assert found[3].path == world.filename("Lora/sub/a.ckpt")

    def test_of_loras_with_one_name_the_later_wins(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 2.1; it takes the earlier one's place."""
        for path in ("Lora/a.pt", "Lora/b.pt", "LyCORIS/a.safetensors"):
            world.put(path, safetensors({}))
        found = open_catalog().loras()
        assert [each.name for each in found] == ["a", "b"]
        assert found[0].path == world.filename("LyCORIS/a.safetensors")

    def test_a_loras_metadata(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 1.3 (objects are read), 2.1 (the order; the alias)."""
        world.put(
            "Lora/a.safetensors",
            safetensors(
                {"x.lora_down.weight": (4, 8)},
                ss_network_dim="4",
                ss_tag_frequency='{"10_cat": {"cat": 10}}',
                ss_output_name="My cat",
                ss_comment="{not JSON",
            ),
        )
        (found,) = open_catalog().loras()
        assert (found.name, found.alias) == ("a", "My cat")
        assert list(found.metadata.items()) == [
            ("ss_tag_frequency", {"10_cat": {"cat": 10}}),
            ("ss_network_dim", "4"),
            ("ss_output_name", "My cat"),
            ("ss_comment", "{not JSON"),
        ]

    @pytest.mark.parametrize("content", [b"", b"\xff" * 99, safetensors({})[:-1]])
    def test_a_damaged_lora_is_listed_without_metadata(
        self, world: World, open_catalog: OpenCatalog, content: bytes
    ):
        world.put("Lora/a.safetensors", content)
        (found,) = open_catalog().loras()
        assert (found.name, found.alias, found.metadata) == ("a", "a", {})

    def test_hypernetworks(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 3: by path whatever the case, `None` hidden; no route refreshes them."""
        catalog = open_catalog()
        for path in ("hypernetworks/b.pt", "hypernetworks/C.pt", "hypernetworks/a/z.pt"):
            world.put(path, b"")
        world.put("hypernetworks/None.pt", b"")
        world.put("hypernetworks/d.safetensors", b"")
        found = catalog.hypernetworks()
        assert [each.name for each in found] == ["z", "b", "C"]
        assert found[0].path == world.filename("hypernetworks/a/z.pt")

    def test_embeddings_and_their_order(self, world: World, open_catalog: OpenCatalog):
        """Spec prompts.md 7.1: as files lie, in natural order whatever the case."""
        for path in ("b10.pt", "B9.pt", "a.pt", "Z/a2.pt", "y/A3.pt"):
            world.put(f"embeddings/{path}", torch_file(pickled({"<x>": Tensor(64)})))
        found = open_catalog().embeddings()
        assert [each.name for each in found] == ["a", "B9", "b10", "A3", "a2"]

    @pytest.mark.parametrize("protocol", [2, 4])
    @pytest.mark.parametrize("wrap", [torch_file, lambda p: pickled(1) * 3 + p])
    def test_a_trained_embedding(
        self, world: World, open_catalog: OpenCatalog, protocol: int, wrap: Callable
    ):
        """Spec prompts.md 7.1, 1; as torch writes files today, and as it did before 1.6."""
        world.put("embeddings/mine.pt", wrap(pickled(TRAINED, protocol)))
        path = world.filename("embeddings/mine.pt")
        about = {"step": 100, "sd_checkpoint": "0123abcd", "path": path}
        assert open_catalog().embeddings() == (
            Embedding(name="mine", vectors=2, width=64, **about),
        )

    def test_embeddings_of_other_forms(self, world: World, open_catalog: OpenCatalog):
        """Spec prompts.md 7.1, 2 and 3."""
        world.put("embeddings/sub/b.SafeTensors", safetensors({"emb_params": (3, 768)}))
        world.put("embeddings/one.bin", torch_file(pickled({"<cat>": Tensor(64)})))
        world.put(
            "embeddings/xl.safetensors", safetensors({"clip_l": (4, 768), "clip_g": (4, 1280)})
        )
        found = open_catalog().embeddings()
        assert [(each.name, each.vectors, each.width) for each in found] == [
            ("one", 1, 64),
            ("xl", 4, 2048),
            ("b", 3, 768),
        ]

    def test_embeddings_in_pictures(self, world: World, open_catalog: OpenCatalog):
        """Spec prompts.md 7.1 and 7.5: the name is inside; previews and plain pictures are none."""
        chunk = PngInfo()
        content = {"string_to_param": {"*": {"TORCHTENSOR": [[0.5] * 8] * 3}}, "name": "inner"}
        chunk.add_text("sd-ti-embedding", b64encode(json.dumps(content).encode()).decode())
        for path, told in (("a.png", chunk), ("b.preview.png", chunk), ("c.png", None)):
            file = io.BytesIO()
            Image.new("RGB", (8, 8), "red").save(file, "png", pnginfo=told)
            world.put(f"embeddings/{path}", file.getvalue())
        (found,) = open_catalog().embeddings()
        assert (found.name, found.vectors, found.width) == ("inner", 3, 8)
        assert found.path == world.filename("embeddings/a.png")

    def test_a_new_embedding_is_found_without_being_asked_for(
        self, world: World, open_catalog: OpenCatalog
    ):
        """Spec prompts.md 7.4."""
        world.put("embeddings/a.safetensors", safetensors({"x": (1, 8)}))
        catalog = open_catalog()
        assert [each.name for each in catalog.embeddings()] == ["a"]
        world.put("embeddings/b.safetensors", safetensors({"x": (1, 8)}))
        assert [each.name for each in catalog.embeddings()] == ["a", "b"]

    def test_hashes(self, world: World, open_catalog: OpenCatalog):
        """Spec networks.md 1.3, 2.1: behind the header, or the whole file, or what is written."""
        numbers = b"numbers"
        world.put("Lora/a.safetensors", safetensors({}) + numbers)
        world.put("Lora/b.pt", b"content")
        world.put("Lora/c.safetensors", safetensors({}, sshs_model_hash="cafe" * 16))
        world.put("embeddings/d.safetensors", safetensors({"x": (1, 8)}))
        catalog = open_catalog()
        assert [each.hash for each in catalog.loras()] == [None, None, "cafe" * 16]
        found = [catalog.hash_lora(each) for each in catalog.loras()]
        assert [each.hash for each in found] == [
            sha256(numbers).hexdigest(),
            sha256(b"content").hexdigest(),
            "cafe" * 16,
        ]
        assert found[0].shorthash == sha256(numbers).hexdigest()[:12]
        assert list(catalog.loras()) == found
        (embedding,) = catalog.embeddings()
        whole = sha256(safetensors({"x": (1, 8)})).hexdigest()
        assert catalog.hash_embedding(embedding).hash == whole
        world.remove("Lora/b.pt")
        with pytest.raises(NotFound, match="LoRA 'b'"):
            catalog.hash_lora(found[1])

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"PK\x03\x04 no archive",
            torch_file(b"cos\nsystem\n(S'true'\ntR."),
            torch_file(b"\x80\x02}q\x00("),
            torch_file(pickled({"a": Tensor(1, 2), "b": Tensor(1, 2)})),
            torch_file(pickled({"string_to_param": {}})),
            torch_file(pickled({"x": 5})),
            torch_file(pickled([Tensor(1, 2)])),
            torch_file(pickled({"x": Tensor(1, 2, 3)})),
        ],
        ids=range(9),
    )
    def test_what_is_no_embedding_is_left_out(
        self, world: World, open_catalog: OpenCatalog, content: bytes
    ):
        """Spec prompts.md 7.1, 4."""
        world.put("embeddings/x.pt", content)
        assert list(open_catalog().embeddings()) == []

    def test_what_changes_is_seen_after_a_refresh(self, world: World, open_catalog: OpenCatalog):
        world.put("Lora/old.pt", b"")
        world.put("embeddings/same.safetensors", safetensors({"x": (1, 8)}))
        catalog = open_catalog()
        assert len(catalog.loras()) == len(catalog.embeddings()) == 1
        world.remove("Lora/old.pt")
        world.put("embeddings/same.safetensors", safetensors({"x": (2, 8)}))
        assert len(catalog.loras()) == 1
        catalog.refresh_loras()
        assert list(catalog.loras()) == []
        catalog.refresh_embeddings()
        assert [each.vectors for each in catalog.embeddings()] == [2]

    @pytest.mark.parametrize(
        ("tensors", "width"),
        [
            (
                {"cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": 768},
                768,
            ),
            ({"cond_stage_model.model.token_embedding.weight": 1024}, 1024),
            (
                {
                    "cond_stage_model.model.token_embedding.weight": 1024,
                    "embedder.model.token_embedding.weight": 768,
                },
                1024,
            ),
            (
                {
                    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding."
                    "weight": 768,
                    "conditioner.embedders.1.model.token_embedding.weight": 1280,
                },
                2048,
            ),
            ({"first_stage_model.encoder.conv_in.weight": 128}, None),
        ],
    )
    def test_a_checkpoints_text_width(
        self,
        world: World,
        open_catalog: OpenCatalog,
        tensors: Mapping[str, int],
        width: int | None,
    ):
        """Spec prompts.md 7.2."""
        shapes = {name: (49408, wide) for name, wide in tensors.items()}
        world.put("Stable-diffusion/a.safetensors", safetensors(shapes))
        inside = {"state_dict": {name: Tensor(*sides) for name, sides in shapes.items()}}
        world.put("Stable-diffusion/b.ckpt", torch_file(pickled(inside)))
        world.put("Stable-diffusion/broken.ckpt", b"?")
        catalog = open_catalog()
        for name, expected in (
            ("a.safetensors", width), ("b.ckpt", width), ("broken.ckpt", None), ("no.ckpt", None)
        ):  # fmt: skip
            filename = world.filename(f"Stable-diffusion/{name}")
            assert catalog.text_width(Checkpoint(name=name, filename=filename)) == expected
