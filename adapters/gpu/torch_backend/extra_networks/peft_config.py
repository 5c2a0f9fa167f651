"""The scale that PEFT trained an adapter with, which its file has no tensor for.

PEFT keeps it in a configuration: `adapter_config.json` beside a file that PEFT saved, or, in files
that diffusers saved, JSON in the header. Source: PEFT's documentation of `LoraConfig`.
"""

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path

from hexfusion.adapters.gpu.torch_backend.extra_networks.lora_keys import LoraKey

log = logging.getLogger(__name__)

_HEADER = "lora_adapter_metadata"
_BESIDE = "adapter_config.json"
_SAVED_AS = "adapter_model"
#: diffusers' names of the networks, with kohya's prefixes.
_NETWORKS = {"lora_unet_": "unet.", "lora_te2_": "text_encoder_2.", "lora_te_": "text_encoder."}


class PeftConfig:
    """The `lora_alpha`, `alpha_pattern` and `use_rslora` that belong to a file; none if unknown."""

    def __init__(self, content: Mapping[str, object]) -> None:
        self._content = content

    def alpha(self, key: LoraKey, rank: int) -> float | None:
        """The alpha of a layer in kohya's sense, so that alpha / rank is the scale; None if no
        configuration tells it."""
        if not key.path:
            return None
        prefix = next((name for flat, name in _NETWORKS.items() if key.layer.startswith(flat)), "")
        alpha = self._for(prefix, key.path)
        if alpha is None:
            return None
        return alpha * math.sqrt(rank) if self._value(prefix, "use_rslora") is True else alpha

    def _for(self, prefix: str, path: str) -> float | None:
        patterns = self._value(prefix, "alpha_pattern")
        for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
            alpha = _number(value)
            if alpha is not None and _names(pattern, path):
                return alpha
        return _number(self._value(prefix, "lora_alpha"))

    def _value(self, prefix: str, name: str) -> object:
        return self._content.get(prefix + name, self._content.get(name))


def read_peft_config(path: Path, metadata: Mapping[str, str]) -> PeftConfig:
    """The configuration that belongs to a LoRA file, `metadata` being that of its header.

    One that cannot be read is logged, and as if there were none.
    """
    beside = path.with_name(_BESIDE)
    try:
        if _HEADER in metadata:
            content = json.loads(metadata[_HEADER])
        elif path.name.startswith(_SAVED_AS) and beside.is_file():
            content = json.loads(beside.read_bytes())
        else:
            content = {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s: its configuration of PEFT cannot be read: %s", path, error)
        content = {}
    return PeftConfig(content if isinstance(content, dict) else {})


def _names(pattern: object, path: str) -> bool:
    """Whether a pattern is the end of a module's path. PEFT takes it as a regular expression; here
    it is a plain text, as a stranger's expression may take for ever."""
    return isinstance(pattern, str) and f".{path}".endswith(f".{pattern}")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
