"""`Codec`: encodes and decodes a job's pictures, by the VAE or by TAESD as its plan says.

Source: spec sampling.md 6.7 and 6.8, images.md 14.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.decoding.previews import Previews
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.coding import (
    decode_small,
    encode_small,
)
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import VaeCopies
from hexfusion.adapters.gpu.torch_backend.latents.init_latents import (
    encode_pictures,
    stretch_latent,
    to_floats,
)
from hexfusion.adapters.gpu.torch_backend.latents.vae import (
    decode,
    encode,
    retry_dtype,
    to_pictures,
)
from hexfusion.adapters.gpu.torch_backend.patches.tweaks import Computation, in_force
from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import Prediction
from hexfusion.domain.errors import MissingVae
from hexfusion.domain.geometry import CELL
from hexfusion.domain.plan import Plan, PreviewContent


class Codec:
    """Encodes and decodes for one render. `turn` is the lock on the device.

    Set `tweaks` to those of the current pass. `low_memory`: networks are copied to the device call
    by call. The constructor raises as `SmallDecoders.taesd` if the plan needs TAESD and one of
    `models` has none, and `MissingVae` if it needs a VAE and one of them has none.
    """

    def __init__(
        self,
        plan: Plan,
        models: Collection[LoadedCheckpoint],
        small: SmallDecoders,
        copies: VaeCopies,
        turn: threading.Lock,
        *,
        low_memory: bool = False,
    ) -> None:
        self._plan = plan
        self._small = small
        self._turn = turn
        self.tweaks: Computation | None = None
        dtype = retry_dtype(
            auto_precision=plan.auto_vae_precision, bfloat16=plan.auto_vae_precision_bfloat16
        )
        self.retry = copies.retry(dtype)
        self._previews = Previews(
            plan.preview, small, turn, retry=self.retry, low_memory=low_memory
        )
        for model in models:
            if plan.needs_vae and model.autoencoder is None:
                raise MissingVae(Path(model.file).name, model.lacks_vae)
            if plan.decode_method == "TAESD":
                small.taesd(model, "decoder")
            if plan.encode_method == "TAESD":
                small.taesd(model, "encoder")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A context that holds the device's lock, with the pass's tweaks in force."""
        with self._turn, in_force(self.tweaks):
            yield

    def start(
        self,
        model: LoadedCheckpoint,
        pictures: Sequence[Image],
        size: tuple[int, int],
        generator: torch.Generator,
    ) -> Tensor:
        """Encode RGB pictures of any size to the first latents of img2img: (B, C, *size).

        `size` is (height, width) in cells, `generator` draws the VAE's noise: see
        `encode_pictures`, which raises `NotANumber`.
        """
        with self.at_work():
            if self._plan.encode_method == "TAESD":
                encoder = self._small.taesd(model, "encoder")
                made = [encode_small(encoder, to_floats(each)) for each in pictures]
                return torch.cat([stretch_latent(latent, size) for latent in made])
            return encode_pictures(
                model.vae, pictures, size, model.scale_factor, generator, retry=self.retry
            )

    def encode(
        self, model: LoadedCheckpoint, pictures: Sequence[Image], generator: torch.Generator
    ) -> Tensor:
        """Encode RGB pictures of one size, upscaled for a second pass, to latents (B, C, h, w)."""
        with self.at_work():
            if self._plan.encode_method == "TAESD":
                encoder = self._small.taesd(model, "encoder")
                return torch.cat([encode_small(encoder, to_floats(each)) for each in pictures])
            pixels = torch.stack([torch.from_numpy(np.array(each)) for each in pictures])
            return encode(model.vae, pixels, model.scale_factor, generator, retry=self.retry)

    def decode(self, model: LoadedCheckpoint, latents: Tensor) -> list[Image]:
        """Decode latents (B, C, h, w) to RGB pictures. Raises `NotANumber`."""
        with self.at_work():
            if self._plan.decode_method == "TAESD":
                pixels = decode_small(self._small.taesd(model, "decoder"), latents)
            else:
                pixels = decode(model.vae, latents, model.scale_factor, retry=self.retry)
        return to_pictures(pixels)

    def decode_interrupted(self, model: LoadedCheckpoint, latents: Tensor) -> list[Image]:
        """`decode` after an interrupt: if the plan says so, by the previews' method, resized to the
        full size."""
        if not self._plan.preview.fast_interrupt:
            return self.decode(model, latents)
        size = latents.shape[-1] * CELL, latents.shape[-2] * CELL
        with in_force(self.tweaks):
            made = to_pictures(self._previews.pixels(model, latents))
        return [each.resize(size, Resampling.BICUBIC) for each in made]

    @torch.inference_mode()
    def preview(
        self, model: LoadedCheckpoint, latest: Prediction, content: PreviewContent
    ) -> Image:
        """A preview of the latest model call's prediction: see `Previews.picture`."""
        return self._previews.picture(model, latest.clean(content))
