"""Planning a pass's network tweaks: tiling, token merging, upcast (spec sampling.md 7)."""

from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.options import Options
from hexfusion.domain.plan import NetworkTweaks


def plan_tweaks(
    request: AnyRequest,
    options: Options,
    *,
    second_pass: bool = False,
    of_picture: bool = False,
) -> NetworkTweaks:
    """The tweaks of one pass: a first, a `second_pass`, or img2img's (`of_picture`)."""
    return NetworkTweaks(
        tiling=options.flag("tiling") if request.tiling is None else request.tiling,
        token_merging_ratio=token_merging_ratio(
            options, second_pass=second_pass, of_picture=of_picture
        ),
        upcast_attention=options.flag("upcast_attn"),
    )


def token_merging_ratio(
    options: Options, *, second_pass: bool = False, of_picture: bool = False
) -> float:
    """The share of tokens to merge. Second passes and img2img have options of their own; 0 there
    means the general option."""
    own = 0.0
    if second_pass:
        own = options.number("token_merging_ratio_hr")
    elif of_picture:
        own = options.number("token_merging_ratio_img2img")
    return own or options.number("token_merging_ratio")
