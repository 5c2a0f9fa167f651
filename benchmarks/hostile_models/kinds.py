"""The kinds of model file: where each lies, how it is listed and asked for, and a sound one."""

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor

from benchmarks import harness
from benchmarks.harness import order

Tensors = dict[str, Tensor]
Request = tuple[str, dict[str, object]]
"""A path, and the JSON posted to it."""

#: Layers of the starter checkpoint that the sound LoRA is for: a linear one, a convolution.
LINEAR = "lora_te_text_model_encoder_layers_0_mlp_fc1"
CONVOLUTION = "lora_unet_input_blocks_1_0_in_layers_2"
TXT2IMG = "/sdapi/v1/txt2img"


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    `folder` is relative to the data folder. `listing` is a route and `names` what it says are
    there, `skipped` which were passed
    over; `refresh` is another, "" where there is none. `use` makes a request of a file's name.
    `tensors` are those of a sound file, `torch_content` what a sound torch file holds.
    """

    name: str
    folder: str
    torch_suffix: str
    listing: str
    names: Callable[[Any], set[str]]
    refresh: str
    use: Callable[[str], Request]
    tensors: Callable[[], Tensors]
    torch_content: Callable[[], object]
    safetensors: bool = True
    skipped: Callable[[Any], set[str]] = lambda listed: set()
    by_stem: bool = True

    def word(self, file: str) -> str:
        """What lists and requests call a file."""
        return PurePath(file).stem if self.by_stem else file

    def sound(self, suffix: str) -> bytes:
        """The bytes of a sound file."""
        return _sound(self.name, suffix)


@cache
def _sound(kind: str, suffix: str) -> bytes:
    found = KINDS[kind]
    if suffix == ".safetensors":
        return save(found.tensors())
    return torch_bytes(found.torch_content())


def torch_bytes(content: object, *, legacy: bool = False) -> bytes:
    """A torch file: a zip archive, or as before torch 1.6."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


@cache
def _starter() -> Mapping[str, Tensor]:
    return load_file(harness.STARTER)


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) * 0.05


def _checkpoint() -> Tensors:
    return dict(_starter())


def _vae() -> Tensors:
    prefix = "first_stage_model."
    mine = {n.removeprefix(prefix): t for n, t in _starter().items() if n.startswith(prefix)}
    return {name: tensor.clone() for name, tensor in mine.items()}


def _lora() -> Tensors:
    return {
        f"{LINEAR}.lora_down.weight": _noise(4, 64),
        f"{LINEAR}.lora_up.weight": _noise(256, 4),
        f"{LINEAR}.alpha": torch.tensor(4.0),
        f"{CONVOLUTION}.lora_down.weight": _noise(4, 64, 3, 3),
        f"{CONVOLUTION}.lora_up.weight": _noise(64, 4, 1, 1),
        f"{CONVOLUTION}.alpha": torch.tensor(4.0),
    }


def _embedding() -> Tensors:
    return {"emb_params": _noise(2, 64)}


def _embedding_content() -> object:
    return {"string_to_token": {"*": 265}, "string_to_param": {"*": _noise(2, 64)}, "step": 5}


def _hypernetwork_layers() -> Tensors:
    return {
        "linear.0.weight": _noise(128, 64),
        "linear.0.bias": _noise(128),
        "linear.1.weight": _noise(64, 128),
        "linear.1.bias": _noise(64),
    }


def _hypernetwork_content() -> object:
    return {64: (_hypernetwork_layers(), _hypernetwork_layers()), "layer_structure": [1, 2, 1]}


def _upscaler() -> Tensors:
    return {
        "body.0.weight": _noise(4, 3, 3, 3),
        "body.0.bias": _noise(4),
        "body.1.weight": _noise(4),
        "body.2.weight": _noise(4, 4, 3, 3),
        "body.2.bias": _noise(4),
        "body.3.weight": _noise(4),
        "body.4.weight": _noise(12, 4, 3, 3),
        "body.4.bias": _noise(12),
    }


def _override(option: str) -> Callable[[str], Request]:
    return lambda word: (TXT2IMG, order(steps=1, override_settings={option: word}))


def _prompt(text: str) -> Callable[[str], Request]:
    return lambda word: (TXT2IMG, order(steps=1, prompt=text.replace("*", word)))


@cache
def _picture() -> str:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((8, 8)).convert("RGB").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _enlarge(word: str) -> Request:
    asked = {"image": _picture(), "upscaler_1": word, "upscaling_resize": 2}
    return "/sdapi/v1/extra-single-image", asked


def _each(*keys: str) -> Callable[[Any], set[str]]:
    def names(listed: Any) -> set[str]:
        return {PurePath(each[key]).name for each in listed for key in keys}

    return names


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "checkpoint",
            "models/Stable-diffusion",
            ".ckpt",
            "/sdapi/v1/sd-models",
            _each("filename"),
            "/sdapi/v1/refresh-checkpoints",
            _override("sd_model_checkpoint"),
            _checkpoint,
            lambda: {"state_dict": _checkpoint()},
            by_stem=False,
        ),
        Kind(
            "VAE",
            "models/VAE",
            ".pt",
            "/sdapi/v1/sd-vae",
            _each("model_name"),
            "/sdapi/v1/refresh-vae",
            _override("sd_vae"),
            _vae,
            lambda: {"state_dict": _vae()},
            by_stem=False,
        ),
        Kind(
            "LoRA",
            "models/Lora",
            ".pt",
            "/sdapi/v1/loras",
            _each("name"),
            "/sdapi/v1/refresh-loras",
            _prompt("a cat <lora:*:1>"),
            _lora,
            _lora,
        ),
        Kind(
            "embedding",
            "embeddings",
            ".pt",
            "/sdapi/v1/embeddings",
            lambda listed: set(listed["loaded"]),
            "/sdapi/v1/refresh-embeddings",
            _prompt("a cat by *"),
            _embedding,
            _embedding_content,
            skipped=lambda listed: set(listed["skipped"]),
        ),
        Kind(
            "hypernetwork",
            "models/hypernetworks",
            ".pt",
            "/sdapi/v1/hypernetworks",
            _each("name"),
            "",
            _prompt("a cat <hypernet:*:1>"),
            _hypernetwork_layers,
            _hypernetwork_content,
            safetensors=False,
        ),
        Kind(
            "upscaler",
            "models/ESRGAN",
            ".pth",
            "/sdapi/v1/upscalers",
            _each("name"),
            "",
            _enlarge,
            _upscaler,
            lambda: {"params": _upscaler()},
        ),
    )
}
