"""Live previews of latents while they are sampled. Source: spec images.md 14, api.md 11.2."""

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
    """Makes the previews of one job.

    The methods "Full" and "TAESD" hold the device's lock `turn`, the others do not. Where a network
    is missing, the next rougher method is used: "Approx NN" for "Full" and "TAESD", "Approx cheap"
    for "Approx NN". `retry` is as for `decode`. `low_memory`: networks are copied to the device
    call by call.
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
        """Decode latents (B, C, h, w) to pixels (B, height, width, 3), uint8 on the CPU.

        Full and TAESD decode to the full size, Approx NN to a quarter of each side, Approx cheap to
        an eighth. Raises `NotANumber`.
        """
        method = self._method()
        if method == "Full" and model.autoencoder is None:  # the job decodes by TAESD
            method = "Approx NN"
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
