"""Hypertile: self-attention in tiles, as options say. It has no arguments. Source: spec
sampling.md 7, scripts.md 14."""

from collections.abc import Mapping

from msgspec.structs import replace

from hexfusion.application.planning import JobPlan
from hexfusion.application.scripts.always_on.script import AlwaysOn, Asked, Effect
from hexfusion.domain.infotext import Extra
from hexfusion.domain.options import REGISTRY, Options
from hexfusion.domain.plan import Hypertile, NetworkTweaks, Plan
from hexfusion.domain.scripts import Arguments


class _Tiling(Effect[Options]):
    """Applies hypertile by the job's options."""

    def read(self, arguments: Arguments, asked: Asked) -> Options | None:
        switches = ("unet", "unet_secondpass", "vae")
        on = any(asked.options.flag(f"hypertile_enable_{each}") for each in switches)
        return asked.options if on else None

    def plan(self, value: Options, plan: JobPlan) -> JobPlan:
        """Tile sizes are drawn with the job's first seed."""
        seed = plan.seeds[0]

        def tiled(tweaks: NetworkTweaks, *, second_pass: bool = False) -> NetworkTweaks:
            unet = value.flag("hypertile_enable_unet") or (
                second_pass and value.flag("hypertile_enable_unet_secondpass")
            )
            vae = value.flag("hypertile_enable_vae")
            return replace(
                tweaks,
                hypertile_unet=_hypertile(value, "unet", seed) if unet else None,
                hypertile_vae=_hypertile(value, "vae", seed) if vae else None,
            )

        def changed(batch: Plan) -> Plan:
            hires = batch.hires
            if hires is not None:
                hires = replace(hires, tweaks=tiled(hires.tweaks, second_pass=True))
            return replace(batch, tweaks=tiled(batch.tweaks), hires=hires)

        return plan.each(changed)

    def extra(self, value: Options, plan: JobPlan) -> Mapping[str, Extra]:
        """What is switched on, and its settings that are not the default."""
        extra: dict[str, Extra] = {}
        first, hires = plan.first.tweaks, plan.first.hires
        if first.hypertile_unet:
            extra["Hypertile U-Net"] = True
        elif hires and hires.tweaks.hypertile_unet:
            extra["Hypertile U-Net second pass"] = True
        if extra:
            extra |= _settings("U-Net", "unet", value)
        if first.hypertile_vae:
            extra["Hypertile VAE"] = True
            extra |= _settings("VAE", "vae", value)
        return extra


def _hypertile(options: Options, network: str, seed: int) -> Hypertile:
    return Hypertile(
        max_tile=options.integer(f"hypertile_max_tile_{network}"),
        swap_size=options.integer(f"hypertile_swap_size_{network}"),
        depth=options.integer(f"hypertile_max_depth_{network}"),
        seed=seed,
    )


def _settings(label: str, network: str, options: Options) -> dict[str, Extra]:
    values = {
        f"Hypertile {label} {name}": options[f"hypertile_{key}_{network}"]
        for name, key in (
            ("max depth", "max_depth"),
            ("max tile size", "max_tile"),
            ("swap size", "swap_size"),
        )
        if options[f"hypertile_{key}_{network}"] != REGISTRY[f"hypertile_{key}_{network}"].default
    }
    return {key: value for key, value in values.items() if isinstance(value, int)}


SCRIPT = AlwaysOn("Hypertile", effect=_Tiling(), listing="named")
