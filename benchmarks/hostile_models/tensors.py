"""Files that are sound as such, with tensors that are not what a network needs."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from benchmarks.hostile_models.case import Case, Ground
from benchmarks.hostile_models.kinds import KINDS, LINEAR, Tensors, torch_bytes

Change = Callable[[Tensor], Tensor]

_DTYPES: Mapping[str, torch.dtype] = {
    "int8": torch.int8,
    "int64": torch.int64,
    "bool": torch.bool,
    "float8 e4m3": torch.float8_e4m3fn,
    "float8 e5m2": torch.float8_e5m2,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "complex64": torch.complex64,
}
_VALUES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "not a number": lambda tensor: torch.full_like(tensor, torch.nan),
    "infinite": lambda tensor: torch.full_like(tensor, torch.inf),
    "the largest": lambda tensor: torch.full_like(tensor, torch.finfo(tensor.dtype).max),
}
_SHAPES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "one row less": lambda tensor: tensor[:-1],
    "one side more": lambda tensor: tensor[None, None, None],
    "a scalar": lambda tensor: tensor.reshape(-1)[0],
    "no elements": lambda tensor: tensor[:0],
    "sides exchanged": lambda tensor: tensor.transpose(0, -1),
    "20 times as wide": lambda tensor: torch.cat([tensor] * 20, dim=-1),
}
#: The tensors of each kind that are made wrong, by how their names end.
_WHICH: Mapping[str, str] = {
    "checkpoint": "model.diffusion_model.out.2.weight",
    "VAE": "decoder.conv_in.weight",
    "LoRA": ".weight",
    "embedding": "",
    "hypernetwork": "weight",
    "upscaler": "body.2.weight",
}
#: Kinds whose values of any dtype mean something, once they are numbers of ours.
_USABLE = frozenset({"int8", "int64", "bool", "float8 e4m3", "float8 e5m2", "float64", "bfloat16"})


def cases() -> Iterator[Case]:
    """Each dtype, value and shape in some kinds; and each kind of LoRA with what it must not be."""
    kinds = list(KINDS)
    for index, (label, dtype) in enumerate(_DTYPES.items()):
        for step in range(3):
            kind = kinds[(index + step) % len(kinds)]
            yield _case(kind, "dtype", label, lambda tensor, dtype=dtype: tensor.to(dtype))
    for label, change in _VALUES.items():
        for kind in kinds:
            yield _case(kind, "values", label, change)
    for index, (label, change) in enumerate(_SHAPES.items()):
        for step in range(3):
            yield _case(kinds[(index + step) % len(kinds)], "shape", label, change)
    for label, parts in FAMILIES.items():
        yield _lora(label, parts)
    for kind in ("checkpoint", "VAE", "upscaler"):
        yield _whole(kind, "a tensor missing", lambda found: dict(sorted(found.items())[:-1]))
        yield _whole(kind, "a tensor too many", lambda found: {**found, "zzz": torch.ones(3)})
    for label, more in _LAYERS.items():
        yield _whole("upscaler", label, lambda found, more=more: {**found, **more})
    yield _whole("upscaler", "an ESRGAN of 10^8 blocks", lambda found: dict(_ESRGAN))


def _case(kind: str, attack: str, label: str, change: Change) -> Case:
    def changed(tensors: Tensors) -> Tensors:
        return {
            name: change(each).contiguous() if name.endswith(_WHICH[kind]) else each
            for name, each in tensors.items()
        }

    found = KINDS[kind]
    suffix = ".safetensors" if found.safetensors else found.torch_suffix

    def place(path: Path, ground: Ground) -> None:
        tensors = changed(found.tensors())
        path.write_bytes(save(tensors) if found.safetensors else _hypernetwork(tensors))

    harmless = label in _USABLE or label == "the largest"
    file = f"{kind}-{attack}-{label}{suffix}".replace(" ", "-")
    return Case(kind, attack, label, file, place, works=harmless)


def _hypernetwork(layers: Tensors) -> bytes:
    return torch_bytes({64: (layers, layers), "layer_structure": [1, 2, 1]})


def _whole(kind: str, label: str, change: Callable[[Tensors], Tensors]) -> Case:
    def place(path: Path, ground: Ground) -> None:
        path.write_bytes(save(change(KINDS[kind].tensors())))

    works = kind == "checkpoint" and "many" in label  # files carry all kinds of things along
    return Case(kind, "shape", label, f"{kind}-{label}.safetensors", place, works=works)


def _lora(label: str, parts: Tensors) -> Case:
    def place(path: Path, ground: Ground) -> None:
        path.write_bytes(save({f"{LINEAR}.{part}": each for part, each in parts.items()}))

    return Case("LoRA", "kinds of LoRA", label, f"LoRA-{label}.safetensors", place)


def _ones(*shape: int) -> Tensor:
    return torch.ones(shape)


#: What makes a network of more layers than fit into memory, if one counts by the last.
_LAYERS: Mapping[str, Tensors] = {
    "layer 100 million": {"body.100000000.weight": _ones(12, 4, 3, 3)},
    "a layer without number": {"body.x.weight": _ones(12, 4, 3, 3)},
    "layer 10^30": {f"body.1{'0' * 30}.weight": _ones(12, 4, 3, 3)},
}
_ESRGAN: Tensors = {
    "conv_first.weight": _ones(4, 3, 3, 3),
    "body.0.rdb1.conv1.weight": _ones(2, 4, 3, 3),
    "body.100000000.rdb1.conv1.weight": _ones(2, 4, 3, 3),
    "conv_last.weight": _ones(3, 4, 3, 3),
}


#: For a linear layer of 64 to 256. Small files that describe large products, and parts that do
#: not go together.
FAMILIES: Mapping[str, Tensors] = {
    "LoRA of ranks that differ": {
        "lora_up.weight": _ones(256, 4),
        "lora_down.weight": _ones(5, 64),
    },
    "LoRA of vectors": {"lora_up.weight": _ones(256), "lora_down.weight": _ones(64)},
    "LoRA for 4 billion elements": {
        "lora_up.weight": _ones(65536, 1),
        "lora_down.weight": _ones(1, 65536),
    },
    "LoRA without its second part": {"lora_up.weight": _ones(256, 4)},
    "LoRA with an alpha of many": {
        "lora_up.weight": _ones(256, 4),
        "lora_down.weight": _ones(4, 64),
        "alpha": _ones(7),
    },
    "LoRA with an infinite alpha": {
        "lora_up.weight": _ones(256, 4),
        "lora_down.weight": _ones(4, 64),
        "alpha": torch.tensor(torch.inf),
    },
    "LoRA with a core of no rank": {
        "lora_up.weight": _ones(256, 4),
        "lora_down.weight": _ones(4, 64),
        "lora_mid.weight": _ones(0, 4, 1, 1),
    },
    "LoRA with a core of 4,096 ranks": {
        "lora_up.weight": _ones(256, 4096),
        "lora_down.weight": _ones(4096, 64),
        "lora_mid.weight": _ones(4096, 4096, 1, 1),
    },
    "LoRA of PEFT for another layer": {"lora_A.weight": _ones(4, 63), "lora_B.weight": _ones(9, 4)},
    "LoHa with sides that differ": {
        "hada_w1_a": _ones(256, 4),
        "hada_w1_b": _ones(4, 64),
        "hada_w2_a": _ones(64, 4),
        "hada_w2_b": _ones(4, 32),
    },
    "LoHa with a core too large": {
        "hada_w1_a": _ones(4, 256),
        "hada_w1_b": _ones(4, 64),
        "hada_w2_a": _ones(4, 256),
        "hada_w2_b": _ones(4, 64),
        "hada_t1": _ones(2000, 2000, 1, 1),
        "hada_t2": _ones(2000, 2000, 1, 1),
    },
    "LoKr for 4 billion elements": {"lokr_w1": _ones(256, 256), "lokr_w2": _ones(256, 256)},
    "LoKr with a side of 10^9": {
        "lokr_w1_a": _ones(32768, 1),
        "lokr_w1_b": _ones(1, 32768),
        "lokr_w2": _ones(0, 1),
    },
    "IA3 of 63 channels": {"weight": _ones(63), "on_input": torch.tensor(True)},
    "IA3 with no direction": {"weight": _ones(64), "on_input": torch.ones(0, dtype=torch.bool)},
    "full of another size": {"diff": _ones(64, 63)},
    "full with a bias of another size": {"diff": _ones(256, 64), "diff_b": _ones(7)},
    "norm for a linear layer": {"w_norm": _ones(64), "b_norm": _ones(64)},
    "GLoRA that does not fit": {
        "a1.weight": _ones(4, 60),
        "a2.weight": _ones(60, 4),
        "b1.weight": _ones(4, 64),
        "b2.weight": _ones(256, 4),
        "alpha": torch.tensor(1.0),
    },
    "OFT of one row": {"oft_blocks": _ones(1, 1, 1)},
    "OFT of too many blocks": {"oft_blocks": _ones(300, 8, 8)},
    "OFT that has no inverse": {"oft_diag": torch.zeros(1)},
    "BOFT of odd blocks": {"oft_blocks": _ones(3, 85, 3, 3)},
    "BOFT of 40 butterflies": {"oft_blocks": torch.zeros(40, 128, 2, 2)},
    "DoRA with scales of another size": {
        "lora_up.weight": _ones(256, 4),
        "lora_down.weight": _ones(4, 64),
        "dora_scale": _ones(1, 77),
    },
    "DoRA with scales that are no numbers": {
        "lora_up.weight": _ones(256, 4),
        "lora_down.weight": _ones(4, 64),
        "dora_scale": torch.full((1, 64), torch.nan),
    },
    "a bundled embedding of no width": {"x": _ones(1)},
    "parts of no kind": {"what.is.this": _ones(256, 64)},
}
