"""Which kinds of model file a recorded generation uses, or switches between."""

import json
import re
from collections.abc import Iterator, Mapping

from benchmarks.recordings import Recording

#: What issue 6 is about: everything an A1111 user has on disk.
FEATURES = ("lora", "embedding", "hypernetwork", "vae", "checkpoint")

_TAG = re.compile(r"<(lora|lyco|hypernet):")
_BY_TAG = {"lora": "lora", "lyco": "lora", "hypernet": "hypernetwork"}
_BY_OPTION = {
    "sd_lora": "lora",
    "sd_hypernetwork": "hypernetwork",
    "sd_vae": "vae",
    "sd_model_checkpoint": "checkpoint",
    "refiner_checkpoint": "checkpoint",
    "hr_checkpoint_name": "checkpoint",
}
_BY_INFOTEXT = {
    "TI hashes: ": "embedding",
    "Lora hashes: ": "lora",
    "VAE: ": "vae",
    "Refiner: ": "checkpoint",
    "Hires checkpoint: ": "checkpoint",
}
#: Recorded right after a change was taken back; nothing in them tells.
_AFTER = {
    "options/vae_then_default": "vae",
    "rest/after_vae": "vae",
    "rest/after_ckpt_b": "checkpoint",
    "rest/after_ckpt_back": "checkpoint",
    "rest/after_unload": "checkpoint",
    "rest/after_reload": "checkpoint",
}


def features_of(case: Recording) -> frozenset[str]:
    """Of `FEATURES` those that this recording is about, wherever it says so."""
    return frozenset(_features(case))


def _features(case: Recording) -> Iterator[str]:
    yield from (_BY_TAG[kind] for kind in _TAG.findall(json.dumps(case.request)))
    yield from (_BY_OPTION[name] for name in _named(case.request) if name in _BY_OPTION)
    yield from (_BY_OPTION[name] for name in case.options if name in _BY_OPTION)
    for infotext in case.infotexts:
        yield from (feature for label, feature in _BY_INFOTEXT.items() if label in (infotext or ""))
    if case.name in _AFTER:
        yield _AFTER[case.name]


def _named(request: object) -> Iterator[str]:
    """The fields and overridden options that the request gives a value."""
    if not isinstance(request, Mapping):
        return
    for name, value in request.items():
        if name == "override_settings":
            yield from _named(value)
        elif value:
            yield str(name)
