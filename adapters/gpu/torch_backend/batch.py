"""`Batch`: renders one plan: first pass, upscaling, second pass, decoding."""

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec
import torch
from PIL.Image import Image
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.architectures.builders import answering
from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint
from hexfusion.adapters.gpu.torch_backend.computing_threads import in_computing_thread
from hexfusion.adapters.gpu.torch_backend.conditioning.encode_texts import encode_texts
from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import (
    PassImages,
    append_channels,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.unclip import (
    ImageEmbedder,
    with_image_vectors,
)
from hexfusion.adapters.gpu.torch_backend.decoding.codec import Codec
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import VaeCopies
from hexfusion.adapters.gpu.torch_backend.extra_networks.job_additions import JobAdditions
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.gpu.torch_backend.infotext_facts import infotext_facts
from hexfusion.adapters.gpu.torch_backend.latents.init_latents import repaint_mask
from hexfusion.adapters.gpu.torch_backend.latents.latent_upscale import (
    MODES,
    crop_latents,
    upscale_latents,
)
from hexfusion.adapters.gpu.torch_backend.latents.soft_mask import SoftMask, changed_masks
from hexfusion.adapters.gpu.torch_backend.patches.tweaks import computation_of, computing, in_force
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placement, Placing
from hexfusion.adapters.gpu.torch_backend.sampling.call import Call, Network, inside, linked
from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import LatentMask, Prediction
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import Conditioning
from hexfusion.adapters.gpu.torch_backend.sampling.inversion import find_noise
from hexfusion.adapters.gpu.torch_backend.sampling.noise import ImageNoise
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import noise_table
from hexfusion.adapters.gpu.torch_backend.sampling.passes import (
    LatentModel,
    Refiner,
    sample_from_latent,
    sample_from_noise,
)
from hexfusion.application.pictures.upscaling import resize, upscale_by
from hexfusion.application.ports.inference import Observer, Rendered, Sources, Verdict
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.domain.errors import InvalidRequest, NotANumber
from hexfusion.domain.geometry import CELL
from hexfusion.domain.plan import HiresPlan, InitPlan, Inversion, Pass, Plan
from hexfusion.domain.sampling.steps import expected_calls, sampling_step


class Batch:
    """Renders one plan, once.

    `models` has the plan's checkpoints by file name, `sources` the pictures of a plan with `init`.
    `turn` is the lock on the device, held for each network call.
    """

    def __init__(
        self,
        plan: Plan,
        models: Mapping[str, LoadedCheckpoint],
        observer: Observer,
        sources: Sources | None = None,
        *,
        device: torch.device,
        turn: threading.Lock,
        networks: NetworkStore,
        upscaler: Upscaler,
        small: SmallDecoders,
        copies: VaeCopies,
        placing: Placing,
    ) -> None:
        self._plan = plan
        self._models = models
        self._observer = observer
        self._sources = sources
        self._device = device
        self._turn = turn
        self._upscaler = upscaler
        self._verdict = Verdict.CONTINUE
        self._happened: set[str] = set()
        self._changed: list[Image] = []
        self._kept: list[Image] = []
        self._encoding = torch.Generator()
        low_memory = any(placing.of(each.family) is not Placement.WHOLE for each in models.values())
        self._codec = Codec(plan, models.values(), small, copies, turn, low_memory=low_memory)
        self._model = models[plan.checkpoint.filename]
        self._channels = self._model.family.latents.channels
        if low_memory:
            with (
                turn
            ):  # LoRAs are read to where the networks are kept, so none may be on the device
                placing.slot.clear()
                self._adding = JobAdditions(networks, plan, models)
        else:
            self._adding = JobAdditions(networks, plan, models)

    def render(self) -> Rendered:
        """See `Inference.render`."""
        try:
            return self._render()
        except NotANumber as error:  # any of the files may be the cause
            raise NotANumber(f"{error}; in use: {', '.join(self._in_use())}") from error

    def _in_use(self) -> Iterator[str]:
        """Names of all checkpoints, VAEs and extra networks of the plan."""
        for checkpoint, vae in self._plan.models:
            yield checkpoint.name
            if vae is not None:
                yield vae.name
        yield from self._adding.names

    def _render(self) -> Rendered:
        plan, hires = self._plan, self._plan.hires
        self._begin(plan)
        latents = self._first_pass()
        if hires is None or self._verdict is Verdict.INTERRUPT:
            return self._rendered(latents)
        init = self._enlarged(latents, hires)
        self._begin(hires)
        return self._rendered(self._second_pass(hires, init))

    def _begin(self, each: Pass) -> None:
        """Start a pass: its tweaks apply to its network calls, and to encoding and decoding."""
        self._codec.tweaks = computation_of(each.tweaks, each.width, each.height)

    def _rendered(self, latents: Tensor) -> Rendered:
        pictures, added = self._pictures(latents), self._adding
        facts = infotext_facts(self._plan, self._happened)
        return Rendered(
            pictures,
            facts,
            embeddings=added.used,
            comments=added.comments,
            changed=self._changed,
            first_pass=self._kept,
        )

    def _first_pass(self) -> Tensor:
        plan = self._plan
        if plan.init is not None:
            assert self._sources is not None, "the pictures come with the plan"
            return self._from_pictures(plan.init, self._sources)
        return sample_from_noise(
            self._latent_model(plan, self._use(plan), (plan.height // CELL, plan.width // CELL)),
            plan.sampling,
            self._texts(plan, self._model),
            self._noise(plan.height // CELL, plan.width // CELL),
            self._watch(plan, plan.pass_steps[0]),
            self._refiner(plan, (plan.height // CELL, plan.width // CELL)),
            self._happened,
        )

    def _from_pictures(self, init: InitPlan, sources: Sources) -> Tensor:
        plan, model = self._plan, self._use(self._plan)
        latents, mask = self._start(init, sources, model)
        found = self._find_noise(init.inversion, latents, model) if init.inversion else None
        final = sample_from_latent(
            self._latent_model(plan, model, (latents.shape[-2], latents.shape[-1])),
            plan.sampling,
            self._texts(plan, model),
            self._noise(*latents.shape[-2:]),
            latents,
            init.denoising_strength,
            explicit_steps=init.explicit_steps,
            noise_multiplier=init.noise_multiplier,
            mask=mask,
            observe=self._watch(plan, plan.pass_steps[0]),
            refiner=self._refiner(plan, (latents.shape[-2], latents.shape[-1])),
            happened=self._happened,
            first_noise=found,
        )
        if isinstance(mask, SoftMask):
            self._changed = changed_masks(latents, final, mask.repaint, mask.settings)
        return final

    def _find_noise(self, how: Inversion, latents: Tensor, model: LoadedCheckpoint) -> Tensor:
        """The first noise that samples to these latents, found by inversion (see `find_noise`)."""
        plan, size = self._plan, (latents.shape[-2], latents.shape[-1])
        described = msgspec.structs.replace(plan, text=how.text or plan.text)
        return find_noise(
            self._latent_model(plan, model, size),
            plan.sampling,
            self._texts(described, model),
            latents,
            self._noise(*size)(),
            how,
        )

    def _start(
        self, init: InitPlan, sources: Sources, model: LoadedCheckpoint
    ) -> tuple[Tensor, LatentMask | SoftMask | None]:
        """The clean first latents (B, C, H, W) of img2img, and the mask of what is kept."""
        size = self._plan.height // CELL, self._plan.width // CELL
        # A1111 draws from its global generator, which the request does not seed (spec sampling.md
        # 6.7). We seed it as it is after a job of the same seed.
        self._encoding = torch.Generator().manual_seed(init.seed)
        latents = self._codec.start(model, sources.pictures, size, self._encoding)
        if sources.mask is None:
            return latents, None
        repaint = repaint_mask(sources.mask, size, rounded=init.round_mask).to(latents.device)
        if init.content != "picture":
            latents = latents * (1 - repaint)
        if init.content == "noise":
            latents = latents + self._content_noise(init, *size) * repaint
        if init.soft:
            return latents, SoftMask(latents, repaint, init.soft)
        return latents, LatentMask(latents, repaint)

    def _content_noise(self, init: InitPlan, height: int, width: int) -> Tensor:
        source = self._plan.sampling.options.randn_source
        shape = (self._channels, height, width)
        return ImageNoise(shape, init.content_seeds, source=source, device=self._device)()

    def _second_pass(self, hires: HiresPlan, init: Tensor) -> Tensor:
        if self._verdict is not Verdict.CONTINUE:
            return init
        model = self._use(hires)
        return sample_from_latent(
            self._latent_model(hires, model, (init.shape[-2], init.shape[-1])),
            hires.sampling,
            self._texts(hires, model),
            self._noise(*init.shape[-2:]),
            init,
            hires.denoising_strength,
            explicit_steps=True,
            observe=self._watch(hires, hires.sampling.steps, steps_before=self._plan.pass_steps[0]),
            refiner=self._refiner(hires, (init.shape[-2], init.shape[-1])),
            happened=self._happened,
        )

    def _enlarged(self, latents: Tensor, hires: HiresPlan) -> Tensor:
        """The second pass's first latents (B, C, H, W): upscaled as latents or as pictures."""
        by_latents = hires.upscaler in MODES
        keep = hires.keep_first_pass and self._verdict is Verdict.CONTINUE
        decoded = [] if by_latents and not keep else self._pictures(latents)
        if keep:
            self._kept = decoded
        if by_latents:
            size = hires.height // CELL, hires.width // CELL
            enlarged = upscale_latents(latents, size, hires.upscaler)
        else:
            size = hires.width, hires.height

            def advance(done: int, of: int) -> Verdict:
                # Reports the first pass's last step again, so that the job can be stopped here.
                self._verdict = self._observer(
                    self._plan.sampling.steps, self._plan.steps, lambda: decoded[0]
                )
                return self._verdict

            upscale = upscale_by(self._upscaler, hires.upscaler, hires.upscaling, advance)
            pictures = [resize(each, size, upscale) for each in decoded]
            enlarged = self._encoded(pictures, self._use(hires))
        return crop_latents(enlarged, hires.crop)

    def _encoded(self, pictures: list[Image], model: LoadedCheckpoint) -> Tensor:
        # A1111 draws from the global generator, which the first noise left seeded with the last
        # picture's seed (spec sampling.md 6.7).
        generator = torch.Generator().manual_seed(self._plan.noise.seeds[-1])
        return self._codec.encode(model, pictures, generator)

    def _pictures(self, latents: Tensor) -> list[Image]:
        """Decode with the VAE of the model that denoised last, which may be a refiner."""
        if self._verdict is Verdict.INTERRUPT:
            return self._codec.decode_interrupted(self._model, latents)
        return self._codec.decode(self._model, latents)

    def _use(self, each: Pass) -> LoadedCheckpoint:
        """The pass's model, which from now on is used for previews and decoding."""
        self._model = self._models[each.checkpoint.filename]
        return self._model

    def _refiner(self, each: Pass, size: tuple[int, int]) -> Refiner | None:
        if each.refiner is None:
            return None
        model = self._models[each.refiner.checkpoint.filename]

        def take_over() -> tuple[LatentModel, Conditioning]:
            self._model = model
            return self._latent_model(each, model, size), self._texts(each, model)

        return Refiner(each.refiner, take_over)

    def _texts(self, each: Pass, model: LoadedCheckpoint) -> Conditioning:
        networks, embedder = each.networks, model.embedder
        if isinstance(each, HiresPlan) and each.first_pass_encoder:
            model = self._models[self._plan.checkpoint.filename]
            networks = self._plan.networks
        with self._turn, self._adding(networks, model):
            texts = encode_texts(
                model.text,
                each.text,
                height=each.height,
                width=each.width,
                with_empty=each.sampling.options.pad_cond_uncond,
            )
            return with_image_vectors(texts, self._embedded(each, embedder)) if embedder else texts

    def _embedded(self, each: Pass, embedder: ImageEmbedder) -> Tensor:
        """unCLIP's image vectors (B, width): zeros without pictures."""
        sources = self._sources_of(each)
        if sources is None:
            vectors = torch.zeros(self._plan.batch_size, embedder.vector_width)
        else:
            vectors = embedder(sources.pictures, self._conditioning_generator())
        return vectors.to(self._device)

    def _sources_of(self, each: Pass) -> Sources | None:
        """The pictures that condition a pass; None in a second pass, as in A1111."""
        return None if isinstance(each, HiresPlan) else self._sources

    def _image_channels(
        self, each: Pass, model: LoadedCheckpoint, size: tuple[int, int]
    ) -> Tensor | None:
        """The UNet's image channels, for latents of `size` (height, width) in cells, or None.

        A second pass gets the channels of a pass without pictures.
        """
        plan, sources = self._plan, self._sources_of(each)
        if model.image_input is None:
            return None
        if model.image_input.fact:
            self._happened.add(model.image_input.fact)
        images = PassImages(
            pictures=sources.pictures if sources else None,
            mask=(sources.seen or sources.mask) if sources else None,
            count=plan.batch_size,
            size=size,
            mask_weight=plan.mask_weight,
            round_mask=plan.init is None or plan.init.round_mask,
            vae=model.vae,
            scale_factor=model.scale_factor,
            generator=self._conditioning_generator(),
            retry=self._codec.retry,
            device=self._device,
        )
        with self._codec.at_work():
            return model.image_input(images)

    def _conditioning_generator(self) -> torch.Generator:
        """A generator in the state of A1111's global one (spec sampling.md 6.7).

        It continues after encoding the first latents, or is seeded by the noise drawn last.
        """
        init = self._plan.init
        if init is None:
            return torch.Generator().manual_seed(self._plan.noise.seeds[-1])
        if init.content == "noise":
            return torch.Generator().manual_seed(init.content_seeds[-1])
        return self._encoding

    def _network(
        self, each: Pass, model: LoadedCheckpoint, image_channels: Tensor | None
    ) -> Network:
        """The model's UNet behind this pass's links: channels, lock, tweaks, extra networks."""
        tweaks = self._codec.tweaks
        return linked(
            answering(model.unet),
            append_channels(image_channels),
            self._taking_turns,
            inside(lambda: in_force(tweaks)),
            inside(lambda: self._adding(each.networks, model)),
        )

    def _taking_turns(self, call: Call, answer: Network) -> Tensor:
        """A link that holds the device's lock during the call."""
        with self._turn:
            return answer(call)

    def _latent_model(
        self, each: Pass, model: LoadedCheckpoint, size: tuple[int, int]
    ) -> LatentModel:
        options = each.sampling.options
        return LatentModel(
            network=self._network(each, model, self._image_channels(each, model, size)),
            table=noise_table(
                model.alphas_cumprod,
                quantize=options.enable_quantization,
                downcast=options.use_downcasted_alpha_bar,
                zero_terminal_snr=options.sd_noise_schedule == "Zero Terminal SNR",
            ),
            v_prediction=model.prediction == "v",
            align_your_steps=model.family.align_your_steps,
            image_cfg_scale=self._image_cfg_scale(model),
        )

    def _image_cfg_scale(self, model: LoadedCheckpoint) -> float | None:
        init = self._plan.init
        edits = model.image_input is not None and model.image_input.edits
        if init is None or not edits or init.image_cfg_scale is None:
            return None
        if any(len(parts) > 1 for parts in self._plan.text.positive):
            message = "AND does not go with image_cfg_scale"
            raise InvalidRequest("prompt", message)
        self._happened.add("Image CFG scale")
        return init.image_cfg_scale

    def _noise(self, height: int, width: int) -> ImageNoise:
        """A new noise source for latents of that size in cells (spec sampling.md 1.3 and 1.7)."""
        noise, options = self._plan.noise, self._plan.sampling.options
        return ImageNoise(
            (self._channels, height, width),
            noise.seeds,
            source=options.randn_source,
            device=self._device,
            subseeds=noise.subseeds,
            subseed_strength=noise.subseed_strength,
            resize_from=noise.resize_from,
            ensd=options.eta_noise_seed_delta,
        )

    def _watch(
        self, each: Pass, steps: int, steps_before: int = 0
    ) -> Callable[[int, Prediction], bool]:
        """The port's observer as that of a sampling loop: converts calls to steps."""
        sampler = each.sampling.sampler
        last = expected_calls(sampler, steps)
        of, content = self._plan.steps, self._plan.preview.content

        def watch(call: int, latest: Prediction) -> bool:
            step = min(sampling_step(sampler, min(call, last)) + 1, steps)
            model = self._model

            def picture() -> Image:
                # A new computation: a preview must not advance the pass's random draws.
                with computing(each.tweaks, each.width, each.height):
                    return self._codec.preview(model, latest, content)

            preview = partial(in_computing_thread, picture)  # whoever asks for it
            self._verdict = self._observer(steps_before + step, of, preview)
            return self._verdict is not Verdict.CONTINUE

        return watch
