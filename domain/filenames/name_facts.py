"""What a file name may tell of a picture."""

from collections.abc import Callable

import msgspec

FormatTime = Callable[[str, str | None], str]
"""The time now in a strftime format and in the zone of that IANA name; None, or one that does not
exist, is local time. Raises ValueError for a format that cannot be."""


def _unknown() -> str:
    raise ValueError("no picture to hash")


class NameFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The picture and its job, as the tokens of spec prompts.md 9.3 show them.

    `prompt` is the picture's own, styles in; `job_prompt` and `job_negative_prompt` are the
    request's. `scheduler` is the label that infotext shows. `style_texts` are the prompts of the
    named styles. `batch_index` counts from 0 in its batch, None for a grid; `iteration` counts
    batches. `vae` is the file name of an external VAE. `pixel_hash` gives the sha256 of the
    picture's bytes in hex, and is called only for a token that needs it.
    """

    seed: int | None
    all_seeds: tuple[int, ...] = ()
    prompt: str
    job_prompt: str
    job_negative_prompt: str
    steps: int
    cfg_scale: float
    width: int
    height: int
    sampler: str
    scheduler: str
    model_name: str
    model_hash: str | None = None
    styles: tuple[str, ...] = ()
    style_texts: tuple[str, ...] = ()
    batch_size: int = 1
    n_iter: int = 1
    batch_index: int | None = 0
    iteration: int = 0
    clip_skip: int = 1
    denoising_strength: float | None = None
    user: str | None = None
    vae: str | None = None
    job_timestamp: str
    basename: str = ""
    max_prompt_words: int = 8
    format_time: FormatTime
    pixel_hash: Callable[[], str] = _unknown
