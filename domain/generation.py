"""Generation requests and what comes back: the HTTP schema, the use-case's argument and the
struct a Python caller constructs are one and the same type.

Source: spec api.md 5.1 (fields, defaults, order) and 9 (the info object).
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

#: Bounds that keep one request from taking the machine down; A1111 has none.
MAX_SIDE = 4096
MAX_STEPS = 1000
MAX_BATCH_SIZE = 128
MAX_ITERATIONS = 1000
#: Seeds are those that torch's generators take.
MIN_SEED, MAX_SEED = -(2**63), 2**64 - 1


def seed_described(text: str) -> Meta:
    """A seed's line in the OpenAPI document. msgspec cannot check bounds beyond 63 bits itself."""
    return Meta(description=text, extra_json_schema={"minimum": MIN_SEED, "maximum": MAX_SEED})


def described(text: str, **constraints: Any) -> Meta:
    """A field's line in the OpenAPI document, with its bounds."""
    return Meta(description=text, **constraints)


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What every request for pictures may say, field by field as A1111 takes it.

    Field order is the order of the echoed `parameters`. A `None` means "use the option of the
    same name" or "not given". The bounds are checked where JSON comes in, and for every caller by
    `hexfusion.application.planning.limits`.
    """

    prompt: Annotated[str, described("What the picture shows.")] = ""
    negative_prompt: Annotated[str, described("What it must not show.")] = ""
    styles: Annotated[
        list[str] | None, described("Names from the styles file; unknown names are ignored.")
    ] = None
    seed: Annotated[int, seed_described("-1 draws a random one in 0..4294967293.")] = -1
    subseed: Annotated[int, seed_described("Seed of the variation; -1 draws a random one.")] = -1
    subseed_strength: Annotated[
        float, described("Share of the variation noise, 0 to 1; 0 turns it off.")
    ] = 0
    seed_resize_from_h: Annotated[
        int, described("Take the noise of a picture this high, in pixels; with the width.")
    ] = -1
    seed_resize_from_w: Annotated[
        int, described("Take the noise of a picture this wide, in pixels; with the height.")
    ] = -1
    sampler_name: Annotated[
        str | None, described("See /samplers; a schedule may follow: 'DPM++ 2M Karras'.")
    ] = None
    scheduler: Annotated[
        str | None, described("See /schedulers; null is the sampler's own, 'Automatic'.")
    ] = None
    batch_size: Annotated[int, described("Pictures made together.", ge=1, le=MAX_BATCH_SIZE)] = 1
    n_iter: Annotated[
        int, described("Batches made one after the other.", ge=1, le=MAX_ITERATIONS)
    ] = 1
    steps: Annotated[int, described("Sampling steps.", ge=1, le=MAX_STEPS)] = 50
    cfg_scale: Annotated[
        float, described("Classifier-free guidance: how strongly the prompt is followed.")
    ] = 7.0
    width: Annotated[
        int, described("Pixels; rounded down to a multiple of 8.", ge=8, le=MAX_SIDE)
    ] = 512
    height: Annotated[
        int, described("Pixels; rounded down to a multiple of 8.", ge=8, le=MAX_SIDE)
    ] = 512
    restore_faces: Annotated[bool | None, described("Null: option face_restoration.")] = None
    tiling: Annotated[bool | None, described("Seamless picture. Null: option tiling.")] = None
    do_not_save_samples: Annotated[bool, described("Ignored; see save_images.")] = False
    do_not_save_grid: Annotated[bool, described("Ignored; see save_images.")] = False
    eta: Annotated[
        float | None, described("Share of fresh noise in ancestral samplers. Null: the option.")
    ] = None
    denoising_strength: Annotated[
        float | None, described("How much the hires pass changes, 0 to 1.")
    ] = None
    s_min_uncond: Annotated[
        float | None, described("Sigma under which guidance is left out on odd steps.")
    ] = None
    s_churn: Annotated[float | None, described("Sigma churn of Euler, Heun and DPM2.")] = None
    s_tmax: Annotated[float | None, described("Highest sigma that is churned; 0: no limit.")] = None
    s_tmin: Annotated[float | None, described("Lowest sigma that is churned.")] = None
    s_noise: Annotated[float | None, described("Scale of the noise a sampler adds.")] = None
    override_settings: Annotated[
        dict[str, Any] | None, described("Options for this request alone.")
    ] = None
    override_settings_restore_afterwards: Annotated[
        bool, described("Accepted; overrides never outlive their request here.")
    ] = True
    refiner_checkpoint: Annotated[
        str | None, described("Checkpoint that takes over for the last steps.")
    ] = None
    refiner_switch_at: Annotated[
        float | None, described("Fraction of the steps after which it does.")
    ] = None
    disable_extra_networks: Annotated[
        bool, described("Take <lora:...> tags out of the prompt without applying them.")
    ] = False
    firstpass_image: Annotated[
        str | None, described("Base64 picture to start the hires pass from.")
    ] = None
    comments: Annotated[dict[str, Any] | None, described("Ignored.")] = None


class Txt2Img(Generation, frozen=True, kw_only=True):
    """A text-to-image request: `POST /sdapi/v1/txt2img`."""

    enable_hr: Annotated[bool, described("Hires fix: a second pass at a larger size.")] = False
    firstphase_width: Annotated[int, described("Width of the first pass, if not 0.")] = 0
    firstphase_height: Annotated[int, described("Height of the first pass, if not 0.")] = 0
    hr_scale: Annotated[float, described("Factor of the hires pass.")] = 2.0
    hr_upscaler: Annotated[str | None, described("Null: Latent.")] = None
    hr_second_pass_steps: Annotated[int, described("0: as many as `steps`.")] = 0
    hr_resize_x: Annotated[int, described("Target width instead of a factor.")] = 0
    hr_resize_y: Annotated[int, described("Target height instead of a factor.")] = 0
    hr_checkpoint_name: Annotated[str | None, described("Null: the same.")] = None
    hr_sampler_name: Annotated[str | None, described("Null: the same.")] = None
    hr_scheduler: Annotated[str | None, described("Null: the same.")] = None
    hr_prompt: Annotated[str, described("Empty: the same prompt.")] = ""
    hr_negative_prompt: Annotated[str, described("Empty: the same.")] = ""
    force_task_id: Annotated[str | None, described("The job's id; null makes one.")] = None
    sampler_index: Annotated[str, described("Used when sampler_name is empty.")] = "Euler"
    script_name: Annotated[str | None, described("Title of a script to run.")] = None
    script_args: Annotated[list[Any], described("Its arguments, in order.")] = []
    send_images: Annotated[bool, described("False: `images` comes back empty.")] = True
    save_images: Annotated[bool, described("Also write the pictures to the output folder.")] = False
    alwayson_scripts: Annotated[
        dict[str, Any], described('{"title": {"args": [...]}} for always-on scripts.')
    ] = {}
    infotext: Annotated[
        str | None, described("Fill fields that are not given from a picture's infotext.")
    ] = None


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What was really done, in A1111's keys and order: the `info` JSON text (api.md 9)."""

    prompt: str
    all_prompts: list[str]
    negative_prompt: str
    all_negative_prompts: list[str]
    seed: int
    all_seeds: list[int]
    subseed: int
    all_subseeds: list[int]
    subseed_strength: float
    width: int
    height: int
    sampler_name: str
    cfg_scale: float
    steps: int
    batch_size: int
    restore_faces: bool | None
    face_restoration_model: str | None
    sd_model_name: str | None
    sd_model_hash: str | None
    sd_vae_name: str | None
    sd_vae_hash: str | None
    seed_resize_from_w: int
    seed_resize_from_h: int
    denoising_strength: float | None
    extra_generation_params: dict[str, Any]
    index_of_first_image: int
    infotexts: list[str]
    styles: list[str]
    job_timestamp: str
    clip_skip: int
    is_using_inpainting_conditioning: bool
    version: str
    #: Ours, and only where there is something to say: what was asked for and could not be used.
    comments: list[str] | msgspec.UnsetType = msgspec.UNSET
