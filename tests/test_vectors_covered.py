"""Which test runs which vectors, so that none of the spec's is forgotten.

The vectors travel with the project, in tests/golden/; where `../shared` is at hand, its files are
compared, so that no section is missing and none was cut short.
"""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden import sampling_vectors

TESTS = Path(__file__).parent
TORCH = "adapters/gpu/torch_backend"

#: Section of sampling_vectors.json -> the modules that run it, all its cases among them.
SAMPLING = {
    "rng": [f"{TORCH}/sampling/test_noise.py"],
    "global_generator_after_first_draw": [f"{TORCH}/sampling/test_noise.py"],
    "brownian": [f"{TORCH}/sampling/test_noise_brownian.py"],
    "tables": [f"{TORCH}/sampling/test_noise_table.py"],
    # The latent consistency model's two entries are with the tables.
    "schedules": [f"{TORCH}/sampling/test_schedules.py", f"{TORCH}/sampling/test_noise_table.py"],
    "sampler_sigmas": [f"{TORCH}/sampling/test_schedules.py"],
    "timesteps": ["domain/sampling/test_steps.py"],
    "img2img_steps": ["domain/sampling/test_steps.py"],
    "samplers_sigma": [f"{TORCH}/sampling/samplers/test_samplers.py"],
    "samplers_timestep": [f"{TORCH}/sampling/samplers/test_samplers.py"],
    "pipeline": [f"{TORCH}/test_pipeline_vectors.py"],
    "edge_cases": [f"{TORCH}/test_pipeline_vectors.py"],
    "cfg_combine": [f"{TORCH}/sampling/test_guidance.py"],
    "prompt_schedules": ["domain/prompts/test_sampling_vectors.py"],
    "prompt_schedule_pick": [f"{TORCH}/sampling/test_guidance.py"],
    "and_parsing": ["domain/prompts/test_sampling_vectors.py"],
    "sampler_names": ["domain/sampling/test_names.py"],
    "samplers_registry": ["domain/sampling/test_catalogue.py"],
    "schedulers_registry": ["domain/sampling/test_catalogue.py"],
    "hires_size": ["domain/test_hires_size.py", f"{TORCH}/latents/test_latent_upscale.py"],
    "latent_upscale": [f"{TORCH}/latents/test_latent_upscale.py"],
    "refiner_switch": [f"{TORCH}/sampling/test_refiner_switch.py"],
    "decode_to_uint8": [f"{TORCH}/latents/test_vae.py"],
    "vae_posterior_sample": [f"{TORCH}/latents/test_vae.py"],
    "sdxl_size_embedding_1024": [f"{TORCH}/architectures/test_size_embedding.py"],
}

#: The same for prompt_vectors.json.
PROMPTS = {
    "attention": ["domain/prompts/test_attention.py"],
    "schedule": ["domain/prompts/test_schedule.py"],
    "and_split": ["domain/prompts/test_composition.py"],
    "and_split_batch": ["domain/prompts/test_composition.py"],
    "comments": ["domain/prompts/test_comments.py"],
    "extra_networks": ["domain/prompts/test_extra_networks.py"],
    "extra_networks_batch": ["domain/prompts/test_extra_networks.py"],
    "styles": ["domain/prompts/test_styles.py"],
    "learn_rate": ["domain/training/test_learning_rate.py"],
    "chunking": ["domain/prompts/test_chunks.py"],
    "quote": ["domain/infotext/test_writing.py"],
    "infotext_write": ["domain/infotext/test_writing.py"],
    "infotext_parse": ["domain/infotext/test_reading.py"],
    "override_settings_texts": ["domain/infotext/test_overrides.py"],
    "override_label_map": ["domain/infotext/test_overrides.py"],
    "filename_pattern": ["domain/filenames/test_pattern.py"],
    "lora_key_names": [f"{TORCH}/extra_networks/test_lora_keys.py"],
}

#: What no test runs, and why.
EXCEPTED = {
    "meta": "says how the vectors were made",
}

#: Sections that lie in files of their own: the file, and the words a test names it by.
OWN_FILES = {
    "decode_to_uint8": "decode_to_uint8.json",
    "sdxl_size_embedding_1024": "sdxl_size_embedding_1024.json",
    "filename_pattern": "filename_patterns.json",
    "lora_key_names": "lora_key_names.json",
}


@pytest.mark.parametrize(("section", "module"), [
    (section, module)
    for sections in (SAMPLING, PROMPTS)
    for section, modules in sections.items()
    for module in modules
])  # fmt: skip
def test_the_named_module_reads_the_section(section: str, module: str) -> None:
    """By its name, as the text of an expression: a comment does not count."""
    tree = ast.parse((TESTS / module).read_text("utf-8"))
    named = OWN_FILES.get(section, section)
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert named in texts
    assert any(
        isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in tree.body
    )


def ours(file: str, section: str) -> Any:
    """A section as it travels with the project."""
    if section in OWN_FILES:
        found = json.loads((TESTS / "golden" / OWN_FILES[section]).read_text("utf-8"))
        return found.get("data", found)
    if file == "sampling":
        return sampling_vectors.section(section)
    return json.loads((TESTS / "golden/prompt_vectors.json").read_text("utf-8"))[section]


def sections_of(shared: Path, file: str) -> dict[str, Any]:
    found = json.loads((shared / f"spec/{file}_vectors.json").read_text("utf-8"))
    if file == "prompt":
        return found
    return {name: section["data"] for name, section in found["sections"].items()}


@pytest.mark.parametrize(("file", "covered"), [("sampling", SAMPLING), ("prompt", PROMPTS)])
def test_every_section_is_run_or_excepted(
    shared: Path, file: str, covered: dict[str, list[str]]
) -> None:
    assert sections_of(shared, file).keys() - EXCEPTED.keys() == covered.keys()


@pytest.mark.parametrize(("file", "covered"), [("sampling", SAMPLING), ("prompt", PROMPTS)])
def test_no_section_was_cut_short(shared: Path, file: str, covered: dict[str, list[str]]) -> None:
    sections = sections_of(shared, file)
    for name in covered:
        copy, original = ours(file, name), sections[name]
        if isinstance(copy, dict) and isinstance(original, dict):
            copy = {key: value for key, value in copy.items() if key in original}
        assert copy == original, name
