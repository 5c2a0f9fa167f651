"""A plan: every setting of one batch, resolved before anything is computed.

A plan is the only input of an inference backend. It holds no reference to the options store or to
the request, so that changes by other clients cannot affect a running job.
"""

from typing import Literal

import msgspec

from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.extra_networks import Embedding
from hexfusion.domain.prompts.parts import PromptPart
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.parameters import SamplerParameters
from hexfusion.domain.sampling.samplers import Sampler
from hexfusion.domain.sampling.steps import img2img_steps
from hexfusion.domain.scripts.soft_inpainting import SoftInpainting
from hexfusion.domain.upscalers import LATENT_MODES, UpscaleSettings
from hexfusion.domain.vaes import VaeFile

MaskedContent = Literal["picture", "noise", "nothing"]
"""What a latent has under the mask: the encoded picture, noise in its place, or zeros."""


PreviewMethod = Literal["Full", "Approx NN", "Approx cheap", "TAESD"]
"""Decoders for live previews: the VAE ("Full"), two cheap approximations, and TAESD."""

PreviewContent = Literal["Combined", "Prompt", "Negative prompt"]
"""Which prediction a preview shows."""

VaeMethod = Literal["Full", "TAESD"]
"""Encoder or decoder: the VAE ("Full"), or the small network TAESD in its place."""


class NoisePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Where each picture's noise comes from (spec sampling.md 1).

    `seeds` and `subseeds` have one entry per picture of the batch. `resize_from` is
    (height, width) in pixels, or None.
    """

    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]
    subseed_strength: float = 0.0
    resize_from: tuple[int, int] | None = None


class TextPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How prompts become conditioning (spec prompts.md 5).

    `positive` and `negative` have one entry per picture: the parts of its prompt, each with its
    weight and its schedule of texts. A negative prompt always has one part. `clip_skip` counts
    layers from the end, 1 being the last. `emphasis` is one of the four emphasis modes;
    `old_emphasis` selects the implementation that preceded them. `comma_backtrack` is in tokens.
    With `keep` the encoded texts are shared with other jobs through a cache.

    The following apply to SDXL only: `crop` is (top, left) in pixels, `aesthetic_scores` are the
    refiner's for (positive, negative) prompts, `clip_l_skip` applies `clip_skip` to CLIP-L too.
    """

    positive: tuple[tuple[PromptPart, ...], ...]
    negative: tuple[tuple[PromptPart, ...], ...]
    clip_skip: int = 1
    emphasis: str = "Original"
    comma_backtrack: int = 20
    old_emphasis: bool = False
    keep: bool = True
    crop: tuple[int, int] = (0, 0)
    aesthetic_scores: tuple[float, float] = (6.0, 2.5)
    clip_l_skip: bool = False


class SamplingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sampler, schedule, guidance, and the numbers they take (spec sampling.md 3 to 5).

    `scheduler` is a schedule's label (`domain.sampling.schedulers`). `options` are the options that
    noise, schedule and guidance read, as they were when the job was planned; `parameters` are
    already resolved against them.
    """

    sampler: Sampler
    scheduler: str
    steps: int
    cfg_scale: float = 7.0
    parameters: SamplerParameters = SamplerParameters()
    options: SamplingOptions = SamplingOptions()


class PreviewPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How live previews are made from the current latent (spec images.md 14).

    With --medvram or --lowvram "Approx NN" replaces "Full", unless `full_in_low_memory`. `grid`
    shows the whole batch, else only its first picture. With `fast_interrupt` the final pictures of
    an interrupted batch are decoded with the preview method too.
    """

    method: PreviewMethod = "Approx cheap"
    grid: bool = True
    content: PreviewContent = "Prompt"
    full_in_low_memory: bool = False
    fast_interrupt: bool = False


class Hypertile(msgspec.Struct, frozen=True, kw_only=True):
    """Self-attention in tiles (spec sampling.md 7).

    `max_tile` is the largest tile in pixels; a tile size is drawn, seeded with `seed`, from
    `swap_size` candidates; `depth` is the deepest level of the network that is tiled.
    """

    max_tile: int
    swap_size: int = 3
    depth: int = 3
    seed: int = 0


class NetworkTweaks(msgspec.Struct, frozen=True, kw_only=True):
    """Changes to the forward pass of the networks, for one job (spec sampling.md 7).

    `tiling` makes pictures seamless. `token_merging_ratio` is the share of tokens merged in
    self-attention, 0 to 1. `hypertile_unet` and `hypertile_vae` are None where Hypertile is off.
    `upcast_attention` computes attention in float32.
    """

    tiling: bool = False
    token_merging_ratio: float = 0.0
    hypertile_unet: Hypertile | None = None
    hypertile_vae: Hypertile | None = None
    upcast_attention: bool = False


class LoraPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA in use: its file, and its multipliers for text encoders (`te`) and UNet (`unet`).

    `name` is as written in the prompt, `dyn` an upper limit of its rank, `hash` the one that
    infotext shows.
    """

    name: str
    path: str
    te: float = 1.0
    unet: float = 1.0
    dyn: int | None = None
    hash: str | None = None


class HypernetworkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A hypernetwork in use: its file, and the multiplier of its output."""

    name: str
    path: str
    multiplier: float = 1.0


class NetworksPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The extra networks of a pass, in the order they are applied (spec prompts.md 6 and 7).

    `embeddings` are all embeddings that prompts may use. `comments` tell the client which requested
    networks were not found. With `strict` a LoRA that does not fit its checkpoint is an error. With
    `functional` (option lora_functional) weights are merged at each call instead of once.
    """

    loras: tuple[LoraPlan, ...] = ()
    hypernetworks: tuple[HypernetworkPlan, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    comments: tuple[str, ...] = ()
    strict: bool = False
    functional: bool = False


class RefinerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The refiner: a checkpoint that takes over in the middle of a pass (spec sampling.md 5.4).

    It takes over once the completed share of the pass reaches `switch_at`, 0 to 1; None means at
    the first model call. The share is measured in noise levels, or with `by_sample_steps` in
    model calls. `hires_pass` is option hires_fix_refiner_pass, where there are two passes.
    """

    checkpoint: Checkpoint
    switch_at: float | None
    by_sample_steps: bool = False
    hires_pass: str = ""
    vae: VaeFile | None = None


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """One sampling run over a batch. `width` and `height` are pixels.

    `vae` is None where the checkpoint's own is used.
    """

    checkpoint: Checkpoint
    vae: VaeFile | None = None
    width: int
    height: int
    text: TextPlan
    sampling: SamplingPlan
    refiner: RefinerPlan | None = None
    tweaks: NetworkTweaks = NetworkTweaks()
    networks: NetworksPlan = NetworksPlan()


class HiresPlan(Pass, frozen=True, kw_only=True):
    """The second pass of hires fix (spec sampling.md 6.4).

    The first pass's pictures are enlarged to `width` x `height` by `upscaler`, then `crop` (x, y)
    latent cells are cut off, half at each side, an odd cell at the right or bottom. All
    `sampling.steps` are made, whatever the denoising strength. With `first_pass_encoder` the texts
    are encoded by the first pass's checkpoint. With `keep_first_pass` the first pass's pictures are
    returned too.
    """

    upscaler: str
    denoising_strength: float
    upscaling: UpscaleSettings = UpscaleSettings()
    crop: tuple[int, int] = (0, 0)
    first_pass_encoder: bool = False
    keep_first_pass: bool = False


class Inversion(msgspec.Struct, frozen=True, kw_only=True):
    """Inversion: find the noise from which sampling reproduces a picture (spec scripts.md 12).

    `steps` are run backwards, guided by `prompt` and `negative_prompt`, which describe the picture;
    `text` is the same, parsed for each picture of the batch. `randomness`, 0 to 1, is the share of
    the seed's random noise that is mixed in. With `adjust_sigma` the derivative of a step is taken
    at the sigma where the step begins, otherwise where it ends.
    """

    prompt: str
    negative_prompt: str
    steps: int
    cfg_scale: float
    randomness: float = 0.0
    adjust_sigma: bool = False
    text: TextPlan | None = None


class InitPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch starts from pictures (spec sampling.md 6.2 to 6.7).

    `denoising_strength` is the share of the schedule that is run; values above 1 count as 1. With
    `explicit_steps` the number of steps is not reduced by it. `noise_multiplier` scales the initial
    noise. Sampling from the VAE's latent distribution is seeded with `seed`.

    These apply under a mask: `content` is the latent that sampling starts from there;
    `content_seeds`, one per picture, seed its noise; `round_mask` rounds the mask so that a latent
    cell is either repainted or kept. With `soft` (soft inpainting) the result also reports where
    each picture changed.

    `image_cfg_scale` is the guidance towards the init picture (InstructPix2Pix). With `inversion`
    the initial noise is found by inverting the picture.
    """

    denoising_strength: float
    seed: int
    explicit_steps: bool = False
    noise_multiplier: float = 1.0
    content: MaskedContent = "picture"
    content_seeds: tuple[int, ...] = ()
    round_mask: bool = True
    image_cfg_scale: float | None = None
    soft: SoftInpainting | None = None
    inversion: Inversion | None = None

    def steps_of(self, steps: int) -> int:
        """Sampling steps that are really made when the request asks for `steps`."""
        built, depth = img2img_steps(steps, self.denoising_strength, explicit=self.explicit_steps)
        return depth + 1 if built else 0


class Plan(Pass, frozen=True, kw_only=True):
    """One batch: its first pass, and the settings of the batch as a whole.

    Width and height are multiples of 8. With `init` the batch starts from pictures, which are
    passed to the backend beside the plan (`Sources`). If the VAE yields NaN, decoding is retried in
    bfloat16 with `auto_vae_precision_bfloat16`, then in float32 with `auto_vae_precision`. For
    inpainting checkpoints, `mask_weight`, 0 to 1, is how far the masked part of the conditioning
    picture is blended to grey. `encode_method` and `decode_method` choose VAE or TAESD.
    `comments` are told to the client with the pictures.
    """

    noise: NoisePlan
    init: InitPlan | None = None
    hires: HiresPlan | None = None
    mask_weight: float = 1.0
    auto_vae_precision: bool = True
    auto_vae_precision_bfloat16: bool = False
    encode_method: VaeMethod = "Full"
    decode_method: VaeMethod = "Full"
    preview: PreviewPlan = PreviewPlan()
    comments: tuple[str, ...] = ()

    @property
    def needs_vae(self) -> bool:
        """Whether pictures are encoded or decoded by a VAE.

        Inpainting checkpoints need one besides, for what they are given beside the latent.
        """
        pictured = self.hires is not None and self.hires.upscaler not in LATENT_MODES
        encodes = self.init is not None or pictured
        return self.decode_method == "Full" or (encodes and self.encode_method == "Full")

    @property
    def batch_size(self) -> int:
        """Number of pictures this plan makes."""
        return len(self.noise.seeds)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The sampling runs, in order."""
        return (self,) if self.hires is None else (self, self.hires)

    @property
    def models(self) -> tuple[tuple[Checkpoint, VaeFile | None], ...]:
        """Every checkpoint used, refiners included, with its VAE; no duplicates, first pass
        first."""
        users = (user for each in self.passes for user in (each, each.refiner) if user)
        models: dict[str, tuple[Checkpoint, VaeFile | None]] = {}
        for user in users:
            models.setdefault(user.checkpoint.filename, (user.checkpoint, user.vae))
        return tuple(models.values())

    @property
    def pass_steps(self) -> tuple[int, ...]:
        """Sampling steps that each pass makes."""
        first, *others = (each.sampling.steps for each in self.passes)
        return (self.init.steps_of(first) if self.init else first, *others)

    @property
    def steps(self) -> int:
        """Sampling steps of all passes."""
        return sum(self.pass_steps)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures, pixels."""
        last = self.hires
        if last is None:
            return self.width, self.height
        return (last.width // 8 - last.crop[0]) * 8, (last.height // 8 - last.crop[1]) * 8

    def size_if_interrupted(self, step: int) -> tuple[int, int]:
        """(width, height) in pixels of pictures interrupted after step `step`, 1 to `steps`."""
        in_first = self.hires is not None and step <= self.pass_steps[0]
        return (self.width, self.height) if in_first else self.size
