"""Spec networks.md 1.4: the sibling .yaml."""

import json

import pytest

from hexfusion.adapters.gpu.torch_backend.architectures.original_config import (
    OriginalConfig,
    read_original_config,
)
from hexfusion.domain.errors import CheckpointError


@pytest.fixture
def checkpoint(tmp_path):
    return tmp_path / "model.safetensors"


def test_without_a_yaml_nothing_is_known(checkpoint):
    assert read_original_config(checkpoint) == OriginalConfig()


@pytest.mark.parametrize("text", ["", "5", "[]", "model:", "model: {params: 3}", "other: {}"])
def test_a_silent_yaml_says_nothing(checkpoint, text):
    checkpoint.with_suffix(".yaml").write_text(text)
    assert read_original_config(checkpoint) == OriginalConfig()


def test_what_is_read(checkpoint):
    checkpoint.with_suffix(".yaml").write_text(
        """
        model:
          params:
            linear_start: 1e-3
            linear_end: 0.02
            parameterization: "v"
            scale_factor: 0.13
            unet_config: {params: {num_heads: -1, num_head_channels: 64}}
        """
    )
    with pytest.raises(CheckpointError, match="linear_start"):  # YAML 1.1 reads 1e-3 as a text
        read_original_config(checkpoint)
    text = checkpoint.with_suffix(".yaml").read_text().replace("1e-3", "1.0e-3")
    checkpoint.with_suffix(".yaml").write_text(text)
    assert read_original_config(checkpoint) == OriginalConfig(
        unet_head_width=64, prediction="v", scale_factor=0.13, betas=(0.001, 0.02)
    )


@pytest.mark.parametrize(
    ("params", "prediction"),
    [
        ("{}", "epsilon"),  # a model described without a word of v
        ("{parameterization: eps}", "epsilon"),
        ("{parameterization: v}", "v"),
        ("{denoiser_config: {params: {scaling_config: {target: sgm.x.EpsScaling}}}}", "epsilon"),
        ("{denoiser_config: {params: {scaling_config: {target: sgm.x.VScaling}}}}", "v"),
    ],
)
def test_what_the_network_predicts(checkpoint, params, prediction):
    """SDXL's configurations, of another shape, name a scaling class."""
    checkpoint.with_suffix(".yaml").write_text(f"model: {{params: {params}}}")
    assert read_original_config(checkpoint).prediction == prediction


def test_an_xl_configuration(checkpoint):
    checkpoint.with_suffix(".yaml").write_text(
        """
        model:
          target: sgm.models.diffusion.DiffusionEngine
          params:
            scale_factor: 0.13025
            network_config: {params: {num_head_channels: 64}}
        """
    )
    assert read_original_config(checkpoint) == OriginalConfig(
        unet_head_width=64, scale_factor=0.13025, prediction="epsilon"
    )


def write_version(checkpoint, version):
    checkpoint.with_suffix(".yaml").write_text(
        f"model: {{params: {{cond_stage_config: {{params: {{version: {version!r}}}}}}}}}"
    )


def test_the_text_model_beside_it(checkpoint):
    write_version(checkpoint, "clip")
    folder = checkpoint.parent / "clip"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({"num_attention_heads": 4, "hidden_act": "gelu"})
    )
    found = read_original_config(checkpoint)
    assert (found.text_heads, found.text_activation) == (4, "gelu")


@pytest.mark.parametrize("version", ["../outside", "openai/clip-vit-large-patch14", "missing"])
def test_a_text_model_elsewhere_is_not_read(tmp_path, version):
    inside = tmp_path / "models"
    outside = tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    (outside / "config.json").write_text('{"num_attention_heads": 4}')
    write_version(inside / "model.ckpt", version)
    found = read_original_config(inside / "model.ckpt")
    assert (found.text_heads, found.text_activation) == (None, None)
    write_version(inside / "model.ckpt", str(outside))
    assert read_original_config(inside / "model.ckpt").text_heads is None


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "!!python/object/apply:os.system ['true']",
        "model: {params: {scale_factor: much}}",
        "model: {params: {scale_factor: 0}}",
        "model: {params: {scale_factor: .nan}}",
        "model: {params: {scale_factor: .inf}}",
        "model: {params: {scale_factor: 1" + "0" * 400 + "}}",
        "model: {params: {linear_start: -1, linear_end: 0.5}}",
        "model: {params: {linear_start: 0.1, linear_end: .inf}}",
        "a: " + "x" * 100_000,
        "[" * 9_000 + "]" * 9_000,  # half a minute, on a busy machine
        "model: {params: {unet_config: {params: {num_heads: 4.5}}}}",
        "model: {params: {unet_config: {params: {num_heads: true}}}}",
        "model: {params: {parameterization: 5}}",
        "\x00",
    ],
)
def test_a_broken_yaml_is_named(checkpoint, text):
    path = checkpoint.with_suffix(".yaml")
    path.write_text(text)
    with pytest.raises(CheckpointError) as refused:
        read_original_config(checkpoint)
    assert refused.value.file == str(path)


@pytest.mark.parametrize("secret", ["secret: [\n", "secret: secret: secret", "&secret secret: *x"])
def test_nothing_of_a_broken_yaml_is_told(checkpoint, tmp_path, secret):
    """It may be a link to what is nobody's business."""
    (tmp_path / "passwords").write_text(secret)
    checkpoint.with_suffix(".yaml").symlink_to(tmp_path / "passwords")
    with pytest.raises(CheckpointError) as refused:
        read_original_config(checkpoint)
    assert "secret" not in str(refused.value)


def test_the_recorded_one(shared):
    """The recorded `tiny` needs it: 4 heads in both networks."""
    folder = shared / "golden/data/models/Stable-diffusion"
    found = read_original_config(folder / "tiny.safetensors")
    assert (found.unet_heads, found.text_heads) == (4, 4)
    assert (found.scale_factor, found.betas) == (0.18215, (0.00085, 0.012))
    assert found.prediction == "epsilon"


def test_bytes_that_are_no_text_are_refused_by_file(checkpoint):
    checkpoint.with_suffix(".yaml").write_bytes(bytes(range(256)))
    with pytest.raises(CheckpointError, match=r"\.yaml: cannot be read: it is no UTF-8 text"):
        read_original_config(checkpoint)
