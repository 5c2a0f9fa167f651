"""VAE files, and the choice of the VAE for a checkpoint (spec networks.md 1.6)."""

from collections.abc import Collection, Sequence

import msgspec

_EXTENSIONS = (".safetensors", ".ckpt", ".pt")
_MARK = ".vae"
_AUTOMATIC = ("automatic", "auto", "")
_NONE = "none"


class VaeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A VAE in a file of its own.

    `name` is the file's base name with extension, which is what option `sd_vae` and infotext hold;
    `filename` the absolute path; `sha256` that of the file, None until it has been computed.
    """

    name: str
    filename: str
    sha256: str | None = None

    @property
    def shorthash(self) -> str | None:
        """The first ten digits of the sha256, None while it is unknown."""
        return self.sha256[:10] if self.sha256 else None


HALVES = ("encoder", "decoder")
"""What a VAE consists of."""

_IN_CHECKPOINT = "first_stage_model."
_UNET = "model.diffusion_model."


class VaeChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The chosen VAE file; None means the checkpoint's own VAE.

    `unknown` is the requested name if no file has it.
    """

    vae: VaeFile | None = None
    unknown: str | None = None


def choose_vae(
    vaes: Sequence[VaeFile],
    *,
    option: str,
    overrides_preferences: bool = True,
    preference: str | None = None,
    stem: str,
    forced: VaeFile | None = None,
) -> VaeChoice:
    """Choose the VAE for a checkpoint; of several candidates, the first listed.

    `option` is `sd_vae`: "Automatic" (also "auto"), "None", or a file name. It beats
    `preference`, the checkpoint's own, if `overrides_preferences`
    (`sd_vae_overrides_per_model_preferences`). A VAE whose name begins with `stem`, the
    checkpoint's base name without extension, is its companion. `forced` (`--vae-path`) beats all.
    Source: spec networks.md 1.6.
    """
    if forced is not None:
        return VaeChoice(vae=forced)
    if overrides_preferences and not is_automatic(option):
        return _named(vaes, option)
    if preference is not None and not is_automatic(preference):
        preferred = _named(vaes, preference)
        if preferred.unknown is None:
            return preferred
    companion = next((each for each in vaes if stem and each.name.startswith(stem)), None)
    if companion is not None:
        return VaeChoice(vae=companion)
    return VaeChoice() if is_automatic(option) else _named(vaes, option)


def module_named(vaes: Sequence[VaeFile], module: str) -> VaeFile | None:
    """The VAE that an entry of Forge's `forge_additional_modules` names; None if there is none.

    Entries are file names or paths, of Forge's machine perhaps, with or without the extension. Case
    counts only between names that differ in nothing else. Source: spec modern.md.
    """
    name = module.replace("\\", "/").rstrip("/").rpartition("/")[2].strip()
    names = [(each.name, each) for each in vaes]
    if not name.lower().endswith(_EXTENSIONS):
        stems = [(each.name.rpartition(".")[0], each) for each in vaes]
        names += stems + [
            (stem[: -len(_MARK)], each) for stem, each in stems if stem.lower().endswith(_MARK)
        ]
    exact = (vae for known, vae in names if known == name)
    folded = (vae for known, vae in names if known.lower() == name.lower())
    return next(exact, None) or next(folded, None)


def own_halves(names: Collection[str]) -> Collection[str] | None:
    """The `HALVES` of a VAE that a checkpoint with tensors of these names holds.

    None if it is no checkpoint: whoever loads it says what is wrong with it. Source: spec
    networks.md 1.4.
    """
    if not any(_UNET in name for name in names):
        return None
    return [half for half in HALVES if any(_IN_CHECKPOINT + half in name for name in names)]


def lack_of(halves: Collection[str] | None) -> str:
    """What a file with these halves lacks of a VAE, to be told; empty if nothing, or unknown."""
    if halves is None or len(halves) == len(HALVES):
        return ""
    return f"holds only a part of a VAE, its {next(iter(halves))}" if halves else "holds no VAE"


def is_automatic(name: str) -> bool:
    """Whether option `sd_vae` leaves the choice to the checkpoint."""
    return name.lower() in _AUTOMATIC


def _named(vaes: Sequence[VaeFile], name: str) -> VaeChoice:
    if name.lower() == _NONE:
        return VaeChoice()
    found = next((each for each in vaes if each.name == name), None)
    return VaeChoice(vae=found, unknown=None if found else name)
