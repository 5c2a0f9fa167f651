"""What the plans of both kinds of job have: everything decided, nothing computed.

Source: spec sampling.md 1.4 (seeds), 5.4 (refiner), api.md 5.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import msgspec

from hexfusion.application.planning.sampling import plan_sampling
from hexfusion.application.planning.texts import Prompts, plan_text
from hexfusion.application.planning.tweaks import plan_tweaks
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import InvalidRequest, OptionError
from hexfusion.domain.faces import FaceRestoration
from hexfusion.domain.generation import MAX_SEED
from hexfusion.domain.geometry import CELL
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.options import Options
from hexfusion.domain.picture_lists import PictureLists
from hexfusion.domain.plan import (
    InitPlan,
    NoisePlan,
    Pass,
    Plan,
    PreviewContent,
    PreviewMethod,
    PreviewPlan,
    RefinerPlan,
    SamplingPlan,
    VaeMethod,
)
from hexfusion.domain.seeds import image_seeds, image_subseeds, resolve_seed
from hexfusion.domain.vaes import VaeFile

_METHODS: Mapping[str, PreviewMethod] = {name: name for name in get_args(PreviewMethod)}
_CONTENTS: Mapping[str, PreviewContent] = {name: name for name in get_args(PreviewContent)}


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoints a job uses: None where the first one serves, or nobody does."""

    checkpoint: Checkpoint
    hires: Checkpoint | None = None
    refiner: Checkpoint | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Theirs, each once."""
        chosen = (self.checkpoint, self.hires, self.refiner)
        return tuple(dict.fromkeys(each.filename for each in chosen if each))


class JobPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole job: one plan per batch, and what holds for all of them.

    `seeds`, `subseeds`, `prompts` and `hires_prompts` have one entry per picture asked for, of
    which the first are made. `width` and `height` are the first pass's as asked for, pixels;
    `resize` is the hires target as asked for, (0, 0) where a factor is. Prompts are as infotext
    shows them: network tags in. `faces` is how they are restored, None where they are not.
    """

    batches: tuple[Plan, ...]
    width: int
    height: int
    resize: tuple[int, int]
    prompts: Prompts
    hires_prompts: Prompts
    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]
    faces: FaceRestoration | None = None

    @property
    def first(self) -> Plan:
        """The first batch, like which the others are."""
        return self.batches[0]

    @property
    def sampling(self) -> SamplingPlan:
        """The first pass's."""
        return self.first.sampling

    @property
    def checkpoint(self) -> Checkpoint:
        """The first pass's."""
        return self.first.checkpoint

    @property
    def files(self) -> tuple[str, ...]:
        """Those of all checkpoints that take part."""
        return tuple(checkpoint.filename for checkpoint, _ in self.first.models)

    def using(
        self,
        identified: Callable[[Checkpoint], Checkpoint],
        vae_of: Callable[[Checkpoint], VaeFile | None] = lambda checkpoint: None,
    ) -> "JobPlan":
        """The same plan with every checkpoint's hash known, and its VAE."""
        models: dict[str, tuple[Checkpoint, VaeFile | None]] = {}
        for each, _ in self.first.models:
            models[each.filename] = identified(each), vae_of(each)

        def settled(each: Pass) -> dict[str, object]:
            checkpoint, vae = models[each.checkpoint.filename]
            refiner = each.refiner
            if refiner:
                taken, its_vae = models[refiner.checkpoint.filename]
                refiner = msgspec.structs.replace(refiner, checkpoint=taken, vae=its_vae)
            return {"checkpoint": checkpoint, "vae": vae, "refiner": refiner}

        def batch(plan: Plan) -> Plan:
            hires = plan.hires and msgspec.structs.replace(plan.hires, **settled(plan.hires))
            return msgspec.structs.replace(plan, **settled(plan), hires=hires)

        return self.each(batch)

    def each(self, change: Callable[[Plan], Plan]) -> "JobPlan":
        """The same with every batch changed."""
        return msgspec.structs.replace(self, batches=tuple(map(change, self.batches)))


def plan_batches(
    request: AnyRequest,
    seeds: Sequence[int],
    subseeds: Sequence[int],
    make: Callable[[slice], Plan],
    batch_size: int,
) -> tuple[Plan, ...]:
    """A plan for each batch. `make` gives the one of those pictures, still without their noise."""
    batches: list[Plan] = []
    for start in range(0, batch_size * request.n_iter, batch_size):
        these = slice(start, start + batch_size)
        noise = plan_noise(request, seeds[these], subseeds[these])
        batches.append(msgspec.structs.replace(make(these), noise=noise))
    return tuple(batches)


def plan_first_pass(
    request: AnyRequest,
    options: Options,
    models: ModelChoice,
    prompts: Prompts,
    *,
    init: InitPlan | None = None,
) -> Plan:
    """One batch with these prompts and a single pass, still without noise."""
    sampling = plan_sampling(request, options)
    return Plan(
        checkpoint=models.checkpoint,
        width=request.width // CELL * CELL,
        height=request.height // CELL * CELL,
        noise=NoisePlan(seeds=(), subseeds=()),
        text=plan_text(prompts, options, sampling),
        sampling=sampling,
        refiner=plan_refiner(request, options, models),
        tweaks=plan_tweaks(request, options, of_picture=init is not None),
        init=init,
        mask_weight=options.number("inpainting_mask_weight"),
        auto_vae_precision=options.flag("auto_vae_precision"),
        auto_vae_precision_bfloat16=options.flag("auto_vae_precision_bfloat16"),
        encode_method=vae_method(options, "sd_vae_encode_method"),
        decode_method=vae_method(options, "sd_vae_decode_method"),
        preview=plan_preview(options),
    )


def vae_method(options: Options, key: str) -> VaeMethod:
    """Raises `OptionError` for one that there is not."""
    match options.text(key):
        case "Full":
            return "Full"
        case "TAESD":
            return "TAESD"
        case other:
            raise OptionError(key, f"{other!r} is none of: Full, TAESD")


def plan_preview(options: Options) -> PreviewPlan:
    """How the job is shown under way. Texts that are no choice mean what A1111 makes of them."""
    return PreviewPlan(
        method=_METHODS.get(options.text("show_progress_type"), "Full"),
        content=_CONTENTS.get(options.text("live_preview_content"), "Combined"),
        grid=options.flag("show_progress_grid"),
        full_in_low_memory=options.flag("live_preview_allow_lowvram_full"),
        fast_interrupt=options.flag("live_preview_fast_interrupt"),
    )


def plan_refiner(request: AnyRequest, options: Options, models: ModelChoice) -> RefinerPlan | None:
    """The refiner, if there is one."""
    if models.refiner is None:
        return None
    return RefinerPlan(
        checkpoint=models.refiner,
        switch_at=request.refiner_switch_at,
        by_sample_steps=options.flag("refiner_switch_by_sample_steps"),
    )


def plan_faces(request: AnyRequest, options: Options) -> FaceRestoration | None:
    """How faces are restored, if they are. Raises `InvalidRequest`."""
    wanted = request.restore_faces
    if not (options["face_restoration"] if wanted is None else wanted):
        return None
    weight = options.number("code_former_weight")
    if not 0 <= weight <= 1:
        raise InvalidRequest("code_former_weight", f"must be from 0 to 1, not {weight}")
    return FaceRestoration(
        model=options.text("face_restoration_model"),
        weight=weight,
        unload=options.flag("face_restoration_unload"),
    )


def plan_seeds(
    request: AnyRequest, lists: PictureLists, draw_seed: Callable[[], int]
) -> tuple[Sequence[int], Sequence[int]]:
    """Seeds and subseeds of every picture of the job."""
    count = request.batch_size * request.n_iter
    seeds = lists.seeds or image_seeds(
        resolve_seed(request.seed, draw_seed), count, request.subseed_strength
    )
    subseeds = lists.subseeds or image_subseeds(resolve_seed(request.subseed, draw_seed), count)
    for field, last in (("seed", max(seeds)), ("subseed", max(subseeds))):
        if last > MAX_SEED:
            raise InvalidRequest(field, "the last picture's seed does not fit in 64 bits")
    return seeds, subseeds


def plan_noise(request: AnyRequest, seeds: Sequence[int], subseeds: Sequence[int]) -> NoisePlan:
    """The noise of one batch."""
    resize = (request.seed_resize_from_h, request.seed_resize_from_w)
    return NoisePlan(
        seeds=tuple(seeds),
        subseeds=tuple(subseeds),
        subseed_strength=float(request.subseed_strength),
        resize_from=resize if min(resize) > 0 else None,
    )
