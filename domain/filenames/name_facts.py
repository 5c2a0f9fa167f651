"""Values that the tokens of a file name pattern can show: the picture and its job."""

from collections.abc import Callable

import msgspec

FormatTime = Callable[[str, str | None], str]
"""(strftime format, IANA time zone) -> the current time as text. A zone of None, or one that does
not exist, means local time. Raises ValueError for an invalid format."""


def _unknown() -> str:
    raise ValueError("no picture to hash")


class NameFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The values of the file name tokens of spec prompts.md 9.3.

    `prompt` is the picture's prompt with styles applied; `job_prompt` and `job_negative_prompt` are
    the request's. `scheduler` is the label that infotext shows. `style_texts` are the prompts of
    the named styles. `batch_index` is the picture's index in its batch, None for a grid;
    `iteration` is the index of the batch. `vae` is the file name of a separate VAE. `pixel_hash`
    returns the sha256 of the picture's pixels in hex; it is called only if a token needs it.
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
