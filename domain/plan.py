"""A plan: everything about one batch decided, nothing computed.

It is all an inference backend gets. It holds no reference to the options store or the request,
so what another client changes meanwhile cannot reach it.
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
from hexfusion.domain.upscalers import UpscaleSettings
from hexfusion.domain.vaes import VaeFile

MaskedContent = Literal["picture", "noise", "nothing"]
"""What a latent has under the mask: the encoded picture, noise in its place, or zeros."""


PreviewMethod = Literal["Full", "Approx NN", "Approx cheap", "TAESD"]
"""What makes a picture of a half-finished latent, from the slowest to the roughest; and TAESD."""

PreviewContent = Literal["Combined", "Prompt", "Negative prompt"]
"""Which prediction a preview shows."""

VaeMethod = Literal["Full", "TAESD"]
"""Who encodes or decodes: the VAE, or a small network in its stead."""


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
    weight and its texts by network call. A negative prompt has always one part. `clip_skip`
    counts from 1, the last layer. `emphasis` is one of the four modes' names; `old_emphasis`
    takes the implementation before them instead. `comma_backtrack` is in tokens. With `keep` the
    encodings may be kept for other jobs, and taken from them.

    The others are SDXL's alone: `crop` is (top, left) in pixels, `aesthetic_scores` the refiner's
    for positive and negative prompts, `clip_l_skip` lets `clip_skip` reach its first encoder.
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

    It travels as it is to what samples and guides. `scheduler` is a label of the catalogue.
    `options` is the job's frozen view of the options that noise, schedule and guidance read; the
    parameters are settled against it already.
    """

    sampler: Sampler
    scheduler: str
    steps: int
    cfg_scale: float = 7.0
    parameters: SamplerParameters = SamplerParameters()
    options: SamplingOptions = SamplingOptions()


class PreviewPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a half-finished latent is shown (spec images.md 14).

    "Approx NN" takes the place of "Full" where networks take turns in memory, unless
    `full_in_low_memory`. `grid` shows the whole batch, else its first picture. With
    `fast_interrupt` an interrupted batch is decoded so, too.
    """

    method: PreviewMethod = "Approx cheap"
    grid: bool = True
    content: PreviewContent = "Prompt"
    full_in_low_memory: bool = False
    fast_interrupt: bool = False


class Hypertile(msgspec.Struct, frozen=True, kw_only=True):
    """Self-attention in tiles (spec sampling.md 7).

    `max_tile` is in pixels; `swap_size` is how many tile sizes the draw, seeded with `seed`, may
    choose from; `depth` is the deepest level that is tiled.
    """

    max_tile: int
    swap_size: int = 3
    depth: int = 3
    seed: int = 0


class NetworkTweaks(msgspec.Struct, frozen=True, kw_only=True):
    """What a job changes in how networks compute (spec sampling.md 7).

    `tiling` makes pictures seamless. `token_merging_ratio` is the share of tokens merged in
    self-attention, 0 to 1. Each Hypertile is for the network it names. `upcast_attention` is
    computed in float32, whatever the rest is computed in.
    """

    tiling: bool = False
    token_merging_ratio: float = 0.0
    hypertile_unet: Hypertile | None = None
    hypertile_vae: Hypertile | None = None
    upcast_attention: bool = False


class LoraPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA in use: its file, and how much of it text encoders and UNet get.

    `name` is as the prompt wrote it, `dyn` a limit to its rank. `hash` is shown in infotext.
    """

    name: str
    path: str
    te: float = 1.0
    unet: float = 1.0
    dyn: int | None = None
    hash: str | None = None


class HypernetworkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A hypernetwork in use."""

    name: str
    path: str
    multiplier: float = 1.0


class NetworksPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The small networks of a pass, in order (spec prompts.md 6 and 7).

    `embeddings` are all that prompts may name. `comments` say what was asked for and is not there.
    `strict` makes an error of a LoRA that does not fit its checkpoint. `functional` computes merged
    weights at each call instead of keeping them (option lora_functional).
    """

    loras: tuple[LoraPlan, ...] = ()
    hypernetworks: tuple[HypernetworkPlan, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    comments: tuple[str, ...] = ()
    strict: bool = False
    functional: bool = False


class RefinerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint that takes a pass over under way (spec sampling.md 5.4).

    It does once the share done is not below `switch_at`: the share of noise levels gone, or with
    `by_sample_steps` of the model calls expected. None switches at the first call.
    """

    checkpoint: Checkpoint
    switch_at: float | None
    by_sample_steps: bool = False
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

    The first pass's pictures become `width` x `height` by `upscaler`, then lose `crop` (x, y)
    cells of the latent, half at each side, an odd one at the far side. The pass makes all of its
    `sampling.steps`, at whatever strength. `first_pass_encoder` has its texts encoded by the first
    pass's checkpoint. With `keep_first_pass` the pictures before it are wanted too.
    """

    upscaler: str
    denoising_strength: float
    upscaling: UpscaleSettings = UpscaleSettings()
    crop: tuple[int, int] = (0, 0)
    first_pass_encoder: bool = False
    keep_first_pass: bool = False


class Inversion(msgspec.Struct, frozen=True, kw_only=True):
    """How to look for the noise that leads to a picture (spec scripts.md 12).

    In so many `steps` backwards, guided by what describes the picture; `text` is that, parsed for
    every picture of the batch. `randomness` is the share of the seed's own noise that is mixed in.
    `adjust_sigma` takes each step's slope where it begins, not where it ends.
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

    `denoising_strength` is the share of the schedule that is run, above 1 meaning 1; with
    `explicit_steps` as many steps are made as the pass has all the same. `noise_multiplier` scales
    the first noise. Encoding draws from a stream seeded with `seed`.

    The others count under a mask: `content` is what the run starts from there, with `round_mask`
    a cell of the latent is painted or kept whole, `content_seeds` are of the noise that is put
    there, one for each picture. `soft` inpainting also tells where each picture changed.

    `image_cfg_scale` is how strongly checkpoints that edit a picture keep to it. With `inversion`
    the first noise is the one that is found.
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
        """Sampling steps made of that many asked for."""
        built, depth = img2img_steps(steps, self.denoising_strength, explicit=self.explicit_steps)
        return depth + 1 if built else 0


class Plan(Pass, frozen=True, kw_only=True):
    """One batch: its first pass, and what holds for the whole of it.

    With `init` it starts from pictures, which come beside the plan. Sides are multiples of 8. A VAE
    that yields NaN tries again in single precision with `auto_vae_precision`, before that in
    bfloat16 with `auto_vae_precision_bfloat16`. Checkpoints that are shown what a mask leaves see
    what is under it greyed out by the share `mask_weight`. `encode_method` and `decode_method` say
    what is asked for latents of pictures and for pictures of latents.
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

    @property
    def batch_size(self) -> int:
        """Pictures this plan makes."""
        return len(self.noise.seeds)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The sampling runs, in order."""
        return (self,) if self.hires is None else (self, self.hires)

    @property
    def models(self) -> tuple[tuple[Checkpoint, VaeFile | None], ...]:
        """Every checkpoint that takes part with its VAE, each once, the first pass's first."""
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
        """The size of pictures interrupted after that step (from 1) of `steps`."""
        in_first = self.hires is not None and step <= self.pass_steps[0]
        return (self.width, self.height) if in_first else self.size
