"""What a job changes in how networks compute. Source: spec sampling.md 7, scripts.md 14."""

from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.options import Options
from hexfusion.domain.plan import Hypertile, NetworkTweaks


def plan_tweaks(
    request: AnyRequest,
    options: Options,
    seed: int,
    *,
    second_pass: bool = False,
    of_picture: bool = False,
) -> NetworkTweaks:
    """Of one pass, which may be the second, or start from a picture; `seed` is the job's first."""
    unet = options.flag("hypertile_enable_unet") or (
        second_pass and options.flag("hypertile_enable_unet_secondpass")
    )
    return NetworkTweaks(
        tiling=options.flag("tiling") if request.tiling is None else request.tiling,
        token_merging_ratio=token_merging_ratio(
            options, second_pass=second_pass, of_picture=of_picture
        ),
        hypertile_unet=_hypertile(options, "unet", seed) if unet else None,
        hypertile_vae=(
            _hypertile(options, "vae", seed) if options.flag("hypertile_enable_vae") else None
        ),
        upcast_attention=options.flag("upcast_attn"),
    )


def token_merging_ratio(
    options: Options, *, second_pass: bool = False, of_picture: bool = False
) -> float:
    """The share of tokens merged. The second pass, and one that starts from a picture, have options
    of their own, 0 meaning the same as others."""
    own = 0.0
    if second_pass:
        own = options.number("token_merging_ratio_hr")
    elif of_picture:
        own = options.number("token_merging_ratio_img2img")
    return own or options.number("token_merging_ratio")


def _hypertile(options: Options, network: str, seed: int) -> Hypertile:
    return Hypertile(
        max_tile=options.integer(f"hypertile_max_tile_{network}"),
        swap_size=options.integer(f"hypertile_swap_size_{network}"),
        depth=options.integer(f"hypertile_max_depth_{network}"),
        seed=seed,
    )
