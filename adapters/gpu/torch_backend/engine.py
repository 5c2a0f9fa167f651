"""The inference port on torch: a plan becomes latents, and latents pictures."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import torch
from PIL.Image import Image
from torch import Tensor

from adapters.gpu.torch_backend.conditioning import condition
from adapters.gpu.torch_backend.denoiser import Network
from adapters.gpu.torch_backend.devices import cuda_memory
from adapters.gpu.torch_backend.loading import LoadedCheckpoint, Precision
from adapters.gpu.torch_backend.networks import predict
from adapters.gpu.torch_backend.noise import ImageNoise
from adapters.gpu.torch_backend.noise_table import noise_table
from adapters.gpu.torch_backend.passes import LatentModel, PassSettings, sample_from_noise
from adapters.gpu.torch_backend.previews import decodes, preview
from adapters.gpu.torch_backend.residency import Residency
from adapters.gpu.torch_backend.vae import decode, to_pictures
from application.ports.inference import Observer, Verdict
from domain.checkpoints import Checkpoint
from domain.plan import Plan
from domain.sampling.steps import expected_calls, sampling_step


class TorchInference:
    """`Inference` and `ModelHost` over one device.

    Any number of jobs may be under way; their network calls take turns, so that two jobs share
    the device step by step instead of fighting over it. Each call holds one job's rows only, which
    keeps every picture the same whoever else is drawing.
    """

    def __init__(self, device: torch.device, precision: Precision) -> None:
        self._device = device
        self._residency = Residency(device, precision)
        self._turn = threading.Lock()

    @torch.inference_mode()
    def render(self, plan: Plan, observer: Observer) -> Sequence[Image]:
        """See `Inference.render`."""
        model = self._residency.get(plan.checkpoint)
        latents = self._sample(model, plan, observer)
        with self._turn:
            return to_pictures(decode(model.vae, latents, model.scale_factor))

    def _sample(self, model: LoadedCheckpoint, plan: Plan, observer: Observer) -> Tensor:
        sampling, options = plan.sampling, plan.sampling.options
        with self._turn:
            conditioning = condition(
                model.text,
                plan.text,
                height=plan.height,
                width=plan.width,
                with_empty=options.pad_cond_uncond,
            )
        latent_model = LatentModel(
            network=self._network(model),
            table=noise_table(
                model.alphas_cumprod,
                quantize=options.enable_quantization,
                downcast=options.use_downcasted_alpha_bar,
                zero_terminal_snr=options.sd_noise_schedule == "Zero Terminal SNR",
            ),
            v_prediction=model.prediction == "v",
        )
        settings = PassSettings(
            sampler=sampling.sampler,
            scheduler=sampling.scheduler,
            steps=sampling.steps,
            cfg_scale=plan.cfg_scale,
            parameters=sampling.parameters,
            s_min_uncond=options.s_min_uncond,
            options=options,
        )
        watch = self._watch(model, plan, observer)
        return sample_from_noise(latent_model, settings, conditioning, self._noise(plan), watch)

    def _network(self, model: LoadedCheckpoint) -> Network:
        def network(x: Tensor, t: Tensor, context: Tensor, vector: Tensor | None) -> Tensor:
            with self._turn:
                return predict(model.unet, x, t, context, vector)

        return network

    def _noise(self, plan: Plan) -> ImageNoise:
        options = plan.sampling.options
        return ImageNoise(
            (4, plan.height // 8, plan.width // 8),
            plan.noise.seeds,
            source=options.randn_source,
            device=self._device,
            subseeds=plan.noise.subseeds,
            subseed_strength=plan.noise.subseed_strength,
            resize_from=plan.noise.resize_from,
            ensd=options.eta_noise_seed_delta,
        )

    def _watch(
        self, model: LoadedCheckpoint, plan: Plan, observer: Observer
    ) -> Callable[[int, Tensor], bool]:
        """The port's observer as the driver wants it: calls become steps, latents previews."""
        sampler, steps = plan.sampling.sampler, plan.sampling.steps
        last = expected_calls(sampler, steps)

        def watch(call: int, clean: Tensor) -> bool:
            step = min(sampling_step(sampler, min(call, last)) + 1, steps)

            def picture() -> Image:
                # An approximation is too cheap to wait for a network call; decoding is not.
                with self._turn if decodes(plan.preview) else nullcontext():
                    return preview(model, clean, plan.preview)

            return observer(step, steps, picture) is not Verdict.CONTINUE

        return watch

    def load(self, checkpoint: Checkpoint) -> None:
        """See `ModelHost.load`."""
        self._residency.get(checkpoint)

    def loaded(self) -> Checkpoint | None:
        """See `ModelHost.loaded`."""
        return self._residency.current()

    def unload(self) -> None:
        """See `ModelHost.unload`."""
        self._residency.drop()

    def memory(self) -> Mapping[str, Mapping[str, int]] | None:
        """See `ModelHost.memory`."""
        return cuda_memory(self._device)
