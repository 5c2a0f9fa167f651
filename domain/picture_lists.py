"""Values that differ from picture to picture of one job (spec sampling.md 1.4, prompts.md 0)."""

import msgspec


class PictureLists(msgspec.Struct, frozen=True, kw_only=True):
    """Lists in place of a request's single values: one entry per picture of the job, or None.

    For Python callers and scripts; over HTTP a request has one prompt, as in A1111. Seeds are used
    as given, without adding the picture's index.
    """

    prompts: tuple[str, ...] | None = None
    negative_prompts: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    subseeds: tuple[int, ...] | None = None


NO_LISTS = PictureLists()
