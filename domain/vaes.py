"""VAE files, and the choice of the VAE for a checkpoint (spec networks.md 1.6)."""

from collections.abc import Sequence

import msgspec

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
    if overrides_preferences and not _automatic(option):
        return _named(vaes, option)
    if preference is not None and not _automatic(preference):
        preferred = _named(vaes, preference)
        if preferred.unknown is None:
            return preferred
    companion = next((each for each in vaes if stem and each.name.startswith(stem)), None)
    if companion is not None:
        return VaeChoice(vae=companion)
    return VaeChoice() if _automatic(option) else _named(vaes, option)


def _automatic(name: str) -> bool:
    return name.lower() in _AUTOMATIC


def _named(vaes: Sequence[VaeFile], name: str) -> VaeChoice:
    if name.lower() == _NONE:
        return VaeChoice()
    found = next((each for each in vaes if each.name == name), None)
    return VaeChoice(vae=found, unknown=None if found else name)
