"""Spec prompts.md 7.2, networks.md 6."""

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.storage.catalogues.extra_networks_memory import MemoryNetworks
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.catalogues.embeddings import ListEmbeddings
from hexfusion.domain.checkpoints import Checkpoint
from tests.application.worlds import Catalog
from tests.contracts.network_catalog import safetensors

TOKENS = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
FILES = {
    "embeddings/B.safetensors": safetensors({"emb_params": (1, 768)}),
    "embeddings/a.safetensors": safetensors({"emb_params": (2, 768)}),
    "embeddings/other.safetensors": safetensors({"emb_params": (1, 1024)}),
    "Stable-diffusion/sd1.safetensors": safetensors({TOKENS: (49408, 768)}),
    "Stable-diffusion/strange.safetensors": safetensors({"x": (1,)}),
}


def lists(*checkpoints: str) -> tuple[list[str], list[str]]:
    found = [Checkpoint(name=each, filename=f"Stable-diffusion/{each}") for each in checkpoints]
    models = Models(Catalog(found), FakeInference())
    shown = ListEmbeddings(MemoryNetworks(FILES), models, MemoryOptions())()
    return [each.name for each in shown.loaded], [each.name for each in shown.skipped]


def test_embeddings_of_another_width_are_skipped():
    assert lists("sd1.safetensors", "strange.safetensors") == (["a", "B"], ["other"])


def test_without_a_width_all_may_fit():
    assert lists("strange.safetensors") == lists() == (["a", "B", "other"], [])
