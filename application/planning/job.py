"""`JobPlan`, and planning the parts that txt2img and img2img share.

Source: spec sampling.md 1.4 (seeds), 5.4 (refiner), api.md 5.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import msgspec

from hexfusion.application.planning.sampling import plan_sampling
from hexfusion.application.planning.texts import Prompts, plan_text
from hexfusion.application.planning.tweaks import plan_tweaks
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.faces import FaceRestoration
from hexfusion.domain.generation import MAX_SEED, MIN_SEED
from hexfusion.domain.geometry import CELL
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.job_limits import NOTHING, JobAmount
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
_VAE_METHODS: Mapping[str, VaeMethod] = {name: name for name in get_args(VaeMethod)}
_CONTENTS: Mapping[str, PreviewContent] = {name: name for name in get_args(PreviewContent)}


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoints of a job. `hires` None: the second pass uses the first's; `refiner` None: no
    refiner."""

    checkpoint: Checkpoint
    hires: Checkpoint | None = None
    refiner: Checkpoint | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Their files, each once."""
        chosen = (self.checkpoint, self.hires, self.refiner)
        return tuple(dict.fromkeys(each.filename for each in chosen if each))


class JobPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole job: one plan per batch, and what is common to all of them.

    `seeds`, `subseeds`, `prompts` and `hires_prompts` have one entry per requested picture; fewer
    pictures may be generated. `width` and `height` are the requested size in pixels, of the first
    pass; `resize` is the requested hires size, (0, 0) if a factor is given. Prompts include network
    tags, as in infotext. `faces` are the settings of face restoration, None without. `amount` is
    what all pictures amount to.
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
    amount: JobAmount = NOTHING

    @property
    def first(self) -> Plan:
        """The first batch; the others have the same settings."""
        return self.batches[0]

    @property
    def sampling(self) -> SamplingPlan:
        """The sampling of the first pass."""
        return self.first.sampling

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of the first pass."""
        return self.first.checkpoint

    @property
    def files(self) -> tuple[str, ...]:
        """Files of all checkpoints that are used."""
        return tuple(checkpoint.filename for checkpoint, _ in self.first.models)

    def using(
        self,
        identified: Callable[[Checkpoint], Checkpoint],
        vae_of: Callable[[Checkpoint], VaeFile | None] = lambda checkpoint: None,
    ) -> "JobPlan":
        """The plan with every checkpoint's hash, from `identified`, and its VAE, from `vae_of`."""
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
        """The plan with `change` applied to every batch."""
        return msgspec.structs.replace(self, batches=tuple(map(change, self.batches)))


def plan_batches(
    request: AnyRequest,
    seeds: Sequence[int],
    subseeds: Sequence[int],
    make: Callable[[slice], Plan],
    batch_size: int,
) -> tuple[Plan, ...]:
    """A plan for each batch. `make(slice)` plans the pictures of that slice, without noise."""
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
    """Plan one batch with these prompts, without noise and second pass."""
    sampling = plan_sampling(request, options)
    return Plan(
        checkpoint=models.checkpoint,
        width=request.width // CELL * CELL,
        height=request.height // CELL * CELL,
        noise=NoisePlan(seeds=(), subseeds=()),
        text=plan_text(prompts, options, sampling),
        sampling=sampling,
        refiner=plan_refiner(request, options, models, models.checkpoint),
        tweaks=plan_tweaks(request, options, of_picture=init is not None),
        init=init,
        mask_weight=options.number("inpainting_mask_weight"),
        auto_vae_precision=options.flag("auto_vae_precision"),
        auto_vae_precision_bfloat16=options.flag("auto_vae_precision_bfloat16"),
        encode_method=_VAE_METHODS[options.text("sd_vae_encode_method")],
        decode_method=_VAE_METHODS[options.text("sd_vae_decode_method")],
        preview=plan_preview(options),
    )


def plan_preview(options: Options) -> PreviewPlan:
    """The settings of live previews."""
    return PreviewPlan(
        method=_METHODS[options.text("show_progress_type")],
        content=_CONTENTS[options.text("live_preview_content")],
        grid=options.flag("show_progress_grid"),
        full_in_low_memory=options.flag("live_preview_allow_lowvram_full"),
        fast_interrupt=options.flag("live_preview_fast_interrupt"),
    )


def plan_refiner(
    request: AnyRequest, options: Options, models: ModelChoice, checkpoint: Checkpoint
) -> RefinerPlan | None:
    """The refiner's plan for a pass with `checkpoint`, None without one.

    A checkpoint does not take over from itself: the reference then neither switches nor writes
    `Refiner` to the infotext.
    """
    if models.refiner is None or models.refiner.filename == checkpoint.filename:
        return None
    return RefinerPlan(
        checkpoint=models.refiner,
        switch_at=request.refiner_switch_at,
        by_sample_steps=options.flag("refiner_switch_by_sample_steps"),
    )


def plan_faces(request: AnyRequest, options: Options) -> FaceRestoration | None:
    """The settings of face restoration, None without."""
    wanted = request.restore_faces
    if not (options["face_restoration"] if wanted is None else wanted):
        return None
    return FaceRestoration(
        model=options.text("face_restoration_model"),
        weight=options.number("code_former_weight"),
        unload=options.flag("face_restoration_unload"),
    )


def plan_seeds(
    request: AnyRequest, lists: PictureLists, draw_seed: Callable[[], int]
) -> tuple[Sequence[int], Sequence[int]]:
    """The seeds and subseeds of all pictures of the job.

    Raises `InvalidRequest` for one outside MIN_SEED..MAX_SEED.
    """
    count = request.batch_size * request.n_iter
    seeds = lists.seeds or image_seeds(
        resolve_seed(request.seed, draw_seed), count, request.subseed_strength
    )
    subseeds = lists.subseeds or image_subseeds(resolve_seed(request.subseed, draw_seed), count)
    for field, all_of_them in (("seed", seeds), ("subseed", subseeds)):
        if max(all_of_them) > MAX_SEED:
            raise InvalidRequest(field, f"the last picture's seed is over {MAX_SEED}")
        if min(all_of_them) < MIN_SEED:  # of a list; others are counted up
            raise InvalidRequest(field, f"a picture's seed is below {MIN_SEED}")
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
