"""The generation parameters that infotext contains, and their order (spec prompts.md 8.2)."""

from collections.abc import Mapping, Sequence

import msgspec

Scalar = str | int | float | bool | None


class PerImage(msgspec.Struct, frozen=True):
    """A parameter with one value per picture of a job, such as the hires prompt; None: no value.

    Infotext shows the value of its picture; the `info` JSON text shows null (spec api.md 9). A
    plain list also has one value per picture, but `info` shows the whole list.
    """

    values: tuple[Scalar, ...]


Extra = Scalar | Sequence[Scalar] | PerImage
"""A value of the extra generation parameters."""


class GenerationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The generation parameters of one picture. None and neutral values are not written.

    The caller leaves a field None to apply an option that hides it (`add_model_hash_to_info` ...).
    `width` and `height` are the first pass's, in pixels. `scheduler` is the label of the schedule
    used. `ensd` is set only if the sampler uses it; `image_cfg_scale`, `face_restoration` (the
    restorer's name), `fp8_weight`, `conditional_mask_weight` and `init_image_hash` only if they had
    an effect; `denoising_strength` for img2img and hires fix.

    `extra` (hires, refiner, masks, sampler options, scripts ...) follows in its own order, except
    that an entry with the key of a field above replaces that field's value.
    """

    steps: int
    sampler: str
    scheduler: str
    cfg_scale: float
    seed: int
    width: int
    height: int
    image_cfg_scale: float | None = None
    face_restoration: str | None = None
    model_hash: str | None = None
    model: str | None = None
    fp8_weight: str | None = None
    cache_fp16_weight: bool = False
    vae_hash: str | None = None
    vae: str | None = None
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_from_width: int = 0
    seed_resize_from_height: int = 0
    denoising_strength: float | None = None
    conditional_mask_weight: float | None = None
    clip_skip: int = 1
    ensd: int = 0
    token_merging_ratio: float = 0.0
    token_merging_ratio_hr: float = 0.0
    init_image_hash: str | None = None
    rng: str = "GPU"
    tiling: bool = False
    extra: Mapping[str, Extra] = {}
    version: str | None = None
    user: str | None = None


def infotext_parameters(facts: GenerationFacts, index: int = 0) -> dict[str, Scalar]:
    """The parameters as an ordered mapping for `write_infotext`, None values included.

    `index` is the index of the picture in its job; it selects from values that differ by picture.
    """
    resized = facts.seed_resize_from_width > 0 and facts.seed_resize_from_height > 0
    varied = facts.subseed_strength != 0
    fp8 = facts.fp8_weight is not None
    parameters: dict[str, Scalar] = {
        "Steps": facts.steps,
        "Sampler": facts.sampler,
        "Schedule type": facts.scheduler,
        "CFG scale": facts.cfg_scale,
        "Image CFG scale": facts.image_cfg_scale,
        "Seed": facts.seed,
        "Face restoration": facts.face_restoration,
        "Size": f"{facts.width}x{facts.height}",
        "Model hash": facts.model_hash,
        "Model": facts.model,
        "FP8 weight": facts.fp8_weight,
        "Cache FP16 weight for LoRA": facts.cache_fp16_weight if fp8 else None,
        "VAE hash": facts.vae_hash,
        "VAE": facts.vae,
        "Variation seed": facts.subseed if varied else None,
        "Variation seed strength": facts.subseed_strength if varied else None,
        "Seed resize from": (
            f"{facts.seed_resize_from_width}x{facts.seed_resize_from_height}" if resized else None
        ),
        "Denoising strength": facts.denoising_strength,
        "Conditional mask weight": facts.conditional_mask_weight,
        "Clip skip": facts.clip_skip if facts.clip_skip > 1 else None,
        "ENSD": facts.ensd or None,
        "Token merging ratio": facts.token_merging_ratio or None,
        "Token merging ratio hr": facts.token_merging_ratio_hr or None,
        "Init image hash": facts.init_image_hash,
        "RNG": facts.rng if facts.rng != "GPU" else None,
        "Tiling": facts.tiling or None,
    }
    for key, value in facts.extra.items():
        parameters[key] = _value_for_image(value, index)
    parameters["Version"] = facts.version
    parameters["User"] = facts.user
    return parameters


def info_parameters(extra: Mapping[str, Extra]) -> dict[str, Scalar | Sequence[Scalar]]:
    """The extra parameters as the `info` JSON text shows them (spec api.md 9)."""
    return {k: None if isinstance(v, PerImage) else v for k, v in extra.items()}


def _value_for_image(value: Extra, index: int) -> Scalar:
    if isinstance(value, PerImage):
        return value.values[index]
    if isinstance(value, list | tuple):
        return value[index]
    assert value is None or isinstance(value, str | int | float)
    return value
