"""What a job changes in how networks compute. Source: spec sampling.md 7, scripts.md 14."""

from domain.generation import Txt2Img
from domain.options import Options
from domain.plan import Hypertile, NetworkTweaks


def plan_tweaks(
    request: Txt2Img, options: Options, seed: int, *, second_pass: bool = False
) -> NetworkTweaks:
    """Of one pass; `seed` is the job's first."""
    unet = options.flag("hypertile_enable_unet") or (
        second_pass and options.flag("hypertile_enable_unet_secondpass")
    )
    return NetworkTweaks(
        tiling=options.flag("tiling") if request.tiling is None else request.tiling,
        token_merging_ratio=token_merging_ratio(options, second_pass=second_pass),
        hypertile_unet=_hypertile(options, "unet", seed) if unet else None,
        hypertile_vae=(
            _hypertile(options, "vae", seed) if options.flag("hypertile_enable_vae") else None
        ),
    )


def token_merging_ratio(options: Options, *, second_pass: bool = False) -> float:
    """The share of tokens merged; the second pass has an option of its own, 0 meaning the same."""
    own = options.number("token_merging_ratio_hr") if second_pass else 0.0
    return own or options.number("token_merging_ratio")


def _hypertile(options: Options, network: str, seed: int) -> Hypertile:
    return Hypertile(
        max_tile=options.integer(f"hypertile_max_tile_{network}"),
        swap_size=options.integer(f"hypertile_swap_size_{network}"),
        depth=options.integer(f"hypertile_max_depth_{network}"),
        seed=seed,
    )
