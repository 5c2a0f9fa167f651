"""What a half-finished latent shows. Source: spec images.md 14, api.md 11.2."""

import threading

import torch
from PIL import Image
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.coding import (
    decode_approximately,
    decode_small,
)
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.latents.vae import Retry, approximate, decode, to_pictures
from hexfusion.application.pictures.grids import image_grid
from hexfusion.domain.errors import CheckpointError, ModelUnavailable
from hexfusion.domain.plan import PreviewMethod, PreviewPlan


class Previews:
    """Of one job. Whoever holds `turn` has the device; what approximates does not wait for it.

    Where a network is missing the next rougher method serves: "Approx NN" for "TAESD", "Approx
    cheap" for "Approx NN". `retry` is for the VAE, as `decode` takes it. `low_memory` says that
    networks take turns in the device's memory.
    """

    def __init__(
        self,
        plan: PreviewPlan,
        small: SmallDecoders,
        turn: threading.Lock,
        *,
        retry: Retry | None = None,
        low_memory: bool = False,
    ) -> None:
        self._plan = plan
        self._small = small
        self._turn = turn
        self._retry = retry
        self._low_memory = low_memory

    @torch.inference_mode()
    def picture(self, model: LoadedCheckpoint, latents: Tensor) -> Image.Image:
        """One picture of clean latents (B, C, H, W): the first, or all of them as a grid."""
        shown = latents if self._plan.grid else latents[:1]
        pictures = to_pictures(self.pixels(model, shown))
        return pictures[0] if len(pictures) == 1 else image_grid(pictures)

    @torch.inference_mode()
    def pixels(self, model: LoadedCheckpoint, latents: Tensor) -> Tensor:
        """Pictures (B, height, width, 3) uint8 on the CPU. Full and TAESD's have the size that
        pictures of these latents have, Approx NN's sides are a quarter of that, the last's an
        eighth. Raises `NotANumber`."""
        method = self._method()
        if method == "Full":
            with self._turn:
                return decode(model.vae, latents, model.scale_factor, retry=self._retry)
        if method == "TAESD":
            try:
                decoder = self._small.taesd(model, "decoder")
            except (ModelUnavailable, CheckpointError):
                method = "Approx NN"
            else:
                with self._turn:
                    return decode_small(decoder, latents)
        if method == "Approx NN" and (network := self._small.approximation(model)):
            return decode_approximately(network, latents)
        return approximate(latents, model.latent_rgb or model.family.latents.rgb)

    def _method(self) -> PreviewMethod:
        plan = self._plan
        if plan.method == "Full" and self._low_memory and not plan.full_in_low_memory:
            return "Approx NN"
        return plan.method
