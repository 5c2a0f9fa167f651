import os

import pytest

from hexfusion.adapters.storage.catalogues.extra_networks_files import FileNetworks
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.extra_networks import Embedding, split_by_text_width
from tests.adapters.storage.catalogues.test_vaes_files import Folder
from tests.contracts.network_catalog import NetworkCatalogContract, safetensors


def catalog_of(models, embeddings, hashes=None):
    return FileNetworks(
        hashes or HashCache(models / "cache.json"),
        loras=[models / "Lora", models / "LyCORIS"],
        embeddings=embeddings,
        hypernetworks=models / "hypernetworks",
    )


@pytest.fixture
def world(tmp_path):
    return Folder(tmp_path / "models")


@pytest.fixture
def open_catalog(world):
    return lambda: catalog_of(world.root, world.root / "embeddings")


class TestFileNetworks(NetworkCatalogContract):
    pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_spoils_no_other(world, open_catalog):
    world.put("embeddings/a.safetensors", safetensors({"x": (1, 8)})).chmod(0)
    world.put("embeddings/b.safetensors", safetensors({"x": (1, 8)}))
    assert [each.name for each in open_catalog().embeddings()] == ["b"]


def test_the_recorded_folder(shared, tmp_path):
    """Recordings get/sdapi_v1_loras and rest/embeddings_after, from these very files."""
    data = shared / "golden" / "data"
    catalog = catalog_of(data / "models", data / "embeddings", HashCache(tmp_path / "cache.json"))
    (lora,) = catalog.loras()
    assert (lora.name, lora.alias) == ("tinylora", "tinylora")
    assert catalog.hash_lora(lora).shorthash == "bcade8c85f69"  # recording prompts/lora05
    assert lora.metadata == {
        "ss_tag_frequency": {"10_cat": {"cat": 10, "red": 3}},
        "ss_base_model_version": "sd_v1-5",
        "ss_output_name": "tinylora",
        "ss_network_alpha": "2.0",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "4",
    }
    loaded, skipped = split_by_text_width(catalog.embeddings(), 64)
    folder = data / "embeddings"
    assert loaded == [
        Embedding(name="tinyti", vectors=2, width=64, step=100, path=str(folder / "tinyti.pt")),
        Embedding(name="tinyti2", vectors=3, width=64, path=str(folder / "tinyti2.safetensors")),
    ]
    assert [(each.name, each.vectors, each.width) for each in skipped] == [("wrongdim", 1, 768)]
    tiny = data / "models" / "Stable-diffusion" / "tiny.safetensors"
    assert catalog.text_width(Checkpoint(name="tiny.safetensors", filename=str(tiny))) == 64
    assert [each.name for each in catalog.hypernetworks()] == ["apihn2", "hn_lin", "hn_relu"]
