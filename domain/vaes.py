"""VAE files as the user knows them (spec networks.md, VAE choice)."""

import msgspec


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
