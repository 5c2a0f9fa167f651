"""What every inference backend must do. Subclass these where the implementation's tests are."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import pytest
from PIL import ImageChops
from PIL.Image import Image
from PIL.Image import new as new_image

from hexfusion.application.ports.inference import Inference, ModelHost, Sources, Verdict
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.plan import (
    HiresPlan,
    InitPlan,
    MaskedContent,
    NoisePlan,
    Pass,
    Plan,
    SamplingPlan,
    TextPlan,
)
from hexfusion.domain.prompts import negative_parts, positive_parts
from hexfusion.domain.sampling.samplers import BY_NAME
from hexfusion.domain.sampling.steps import expected_calls
from hexfusion.domain.vaes import VaeFile
from tests.sight import assert_differ

T = TypeVar("T")
AnyPass = TypeVar("AnyPass", bound=Pass)


class Backend(Inference, ModelHost, Protocol):
    """Both ports, as one backend gives them."""


def plan(
    checkpoint: Checkpoint,
    *,
    seeds: Sequence[int] = (1,),
    prompts: Sequence[str] | None = None,
    sampler: str = "Euler",
    steps: int = 3,
    width: int = 64,
    height: int = 64,
) -> Plan:
    """A plan of one picture per seed; `prompts`, if given, has one for each."""
    calls = expected_calls(BY_NAME[sampler], steps)
    texts = prompts or ["a red circle on a blue background"] * len(seeds)
    return Plan(
        checkpoint=checkpoint,
        width=width,
        height=height,
        noise=NoisePlan(seeds=tuple(seeds), subseeds=(0,) * len(seeds)),
        text=TextPlan(
            positive=tuple(positive_parts(text, calls) for text in texts),
            negative=(negative_parts("blurry", calls),) * len(seeds),
        ),
        sampling=SamplingPlan(sampler=BY_NAME[sampler], scheduler="Automatic", steps=steps),
    )


def guided(each: AnyPass, cfg_scale: float, **changes: Any) -> AnyPass:
    """The same pass with that scale of guidance, and other changes."""
    sampling = msgspec.structs.replace(each.sampling, cfg_scale=cfg_scale)
    return msgspec.structs.replace(each, sampling=sampling, **changes)


def with_hires(first: Plan, *, upscaler: str = "Latent", steps: int = 2) -> Plan:
    """The same with a second pass at twice the size, cropped by a cell each way."""
    sampling = msgspec.structs.replace(first.sampling, steps=steps)
    hires = HiresPlan(
        checkpoint=first.checkpoint,
        width=first.width * 2,
        height=first.height * 2,
        crop=(1, 1),
        upscaler=upscaler,
        denoising_strength=0.6,
        text=first.text,
        sampling=sampling,
    )
    return msgspec.structs.replace(first, hires=hires)


def from_picture(first: Plan, *, strength: float = 0.6, content: MaskedContent = "picture") -> Plan:
    """The same, starting from pictures."""
    seeds = first.noise.seeds
    init = InitPlan(
        denoising_strength=strength, seed=seeds[0], content=content, content_seeds=seeds
    )
    return msgspec.structs.replace(first, init=init)


def sources(
    count: int = 1, *, colour: str = "red", mask: Image | None = None, size: int = 64
) -> Sources:
    """So many pictures of one colour, and a mask."""
    return Sources([new_image("RGB", (size, size), colour) for _ in range(count)], mask)


def made_from(backend: Backend, wanted: Plan, start: Sources) -> list[Image]:
    """The pictures of an undisturbed render that starts from others."""
    return list(backend.render(wanted, Witness(), start).pictures)


class Witness:
    """An observer that remembers what it heard, and answers `verdict` at step `at`."""

    def __init__(self, verdict: Verdict = Verdict.CONTINUE, at: int = 0) -> None:
        self.heard: list[tuple[int, int]] = []
        self.previews: list[Callable[[], Image]] = []
        self._verdict, self._at = verdict, at

    def __call__(self, step: int, of: int, preview: Callable[[], Image]) -> Verdict:
        self.heard.append((step, of))
        self.previews.append(preview)
        return self._verdict if step == self._at else Verdict.CONTINUE


def render(backend: Backend, wanted: Plan) -> list[Image]:
    """The pictures of a render that nobody disturbs."""
    return list(backend.render(wanted, Witness()).pictures)


def pixels(pictures: Sequence[Image]) -> list[bytes]:
    return [picture.tobytes() for picture in pictures]


def difference(one: Image, other: Image) -> int:
    """The largest difference of any channel of any pixel, of 255."""
    return max(ImageChops.difference(one, other).tobytes())


def in_another_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


class InferenceContract:
    """Subclasses give the fixtures `backend` and `checkpoint`, one that it can load."""

    #: How far a picture of a batch may be from the same picture made alone, of 255. Arithmetic of
    #: other shapes rounds otherwise.
    batch_tolerance = 0

    @pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 64), (64, 72)])
    def test_one_picture_per_seed_in_the_size_asked_for(self, backend, checkpoint, width, height):
        wanted = plan(checkpoint, seeds=(1, 2), steps=1, width=width, height=height)
        pictures = render(backend, wanted)
        assert [(each.mode, each.size) for each in pictures] == [("RGB", (width, height))] * 2

    def test_the_same_plan_gives_the_same_pictures(self, backend, checkpoint):
        wanted = plan(checkpoint, seeds=(1, 2))
        assert pixels(render(backend, wanted)) == pixels(render(backend, wanted))

    def test_seed_prompt_and_steps_matter(self, backend, checkpoint):
        plans = (
            plan(checkpoint),
            plan(checkpoint, seeds=(2,)),
            plan(checkpoint, prompts=("a green star",)),
            plan(checkpoint, steps=4),
        )
        assert_differ(*(render(backend, each)[0] for each in plans))

    @pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
    def test_hires_fix_enlarges_and_crops(self, backend, checkpoint, upscaler):
        """Spec sampling.md 6.4."""
        plain = plan(checkpoint, seeds=(1, 2), steps=2)
        wanted = with_hires(plain, upscaler=upscaler)
        assert wanted.size == (120, 120)
        pictures = render(backend, wanted)
        assert [each.size for each in pictures] == [(120, 120)] * 2

    def test_both_passes_of_hires_fix_are_counted(self, backend, checkpoint):
        witness = Witness()
        backend.render(with_hires(plan(checkpoint, steps=3), steps=2), witness)
        assert witness.heard == [(step, 5) for step in range(1, 6)]

    def test_an_interrupt_in_the_first_pass_leaves_its_pictures(self, backend, checkpoint):
        """Spec api.md 11.3."""
        witness = Witness(Verdict.INTERRUPT, at=2)
        made = backend.render(with_hires(plan(checkpoint, steps=3)), witness).pictures
        assert ([each.size for each in made], len(witness.heard)) == ([(64, 64)], 2)

    def test_a_skip_in_the_first_pass_enlarges_its_pictures(self, backend, checkpoint):
        """Spec api.md 11.3."""
        witness = Witness(Verdict.SKIP, at=2)
        made = backend.render(with_hires(plan(checkpoint, steps=3)), witness).pictures
        assert ([each.size for each in made], len(witness.heard)) == ([(120, 120)], 2)

    @pytest.mark.parametrize("verdict", [Verdict.SKIP, Verdict.INTERRUPT])
    def test_a_stop_in_the_second_pass_keeps_its_size(self, backend, checkpoint, verdict):
        witness = Witness(verdict, at=4)
        made = backend.render(with_hires(plan(checkpoint, steps=3)), witness).pictures
        assert ([each.size for each in made], len(witness.heard)) == ([(120, 120)], 4)

    def test_a_batch_is_its_pictures_made_alone(self, backend, checkpoint):
        seeds, prompts = (7, 1, 2**40), ("a red circle", "a green star", "a blue fish")
        batch = render(backend, plan(checkpoint, seeds=seeds, prompts=prompts))
        assert_differ(*batch)
        for picture, seed, prompt in zip(batch, seeds, prompts, strict=True):
            (alone,) = render(backend, plan(checkpoint, seeds=(seed,), prompts=(prompt,)))
            assert difference(picture, alone) <= self.batch_tolerance

    def test_every_step_is_observed_in_order(self, backend, checkpoint):
        witness = Witness()
        backend.render(plan(checkpoint, steps=4), witness)
        assert witness.heard == [(1, 4), (2, 4), (3, 4), (4, 4)]

    @pytest.mark.parametrize("sampler", ["Heun", "DPM++ SDE", "DDIM"])
    def test_samplers_that_ask_more_than_once_a_step_repeat_it(self, backend, checkpoint, sampler):
        """DDIM makes 8 calls for 7 steps (spec sampling.md 3.3); Heun and DPM++ SDE two a step."""
        witness = Witness()
        backend.render(plan(checkpoint, sampler=sampler, steps=7), witness)
        steps = [step for step, _ in witness.heard]
        assert steps == sorted(steps)
        assert set(witness.heard) == {(step, 7) for step in range(1, 8)}

    def test_a_preview_can_be_made_in_the_observer(self, backend, checkpoint):
        shown = []

        def observer(step: int, of: int, preview: Callable[[], Image]) -> Verdict:
            shown.append(preview())
            return Verdict.CONTINUE

        backend.render(plan(checkpoint, steps=2), observer)
        assert [each.mode for each in shown] == ["RGB"] * 2

    def test_a_preview_can_be_made_later_by_another_thread(self, backend, checkpoint):
        witness = Witness()
        backend.render(plan(checkpoint, seeds=(1, 2)), witness)
        first, *_, last = witness.previews
        late = in_another_thread(first)
        assert min(late.size) > 0
        assert late.tobytes() == first().tobytes()
        assert_differ(late, last())

    @pytest.mark.parametrize("verdict", [Verdict.SKIP, Verdict.INTERRUPT])
    def test_a_stopped_render_gives_what_there_is(self, backend, checkpoint, verdict):
        wanted = plan(checkpoint, seeds=(1, 2), steps=4)
        witness = Witness(verdict, at=2)
        pictures = list(backend.render(wanted, witness).pictures)
        assert witness.heard == [(1, 4), (2, 4)]
        assert [each.size for each in pictures] == [(64, 64)] * 2
        whole = render(backend, wanted)
        for cut_short, finished in zip(pictures, whole, strict=True):
            assert_differ(cut_short, finished)

    def test_renders_at_the_same_time_do_not_disturb_each_other(self, backend, checkpoint):
        plans = [
            plan(checkpoint, seeds=(seed,), prompts=(prompt,), sampler=sampler, steps=steps)
            for seed, prompt, sampler, steps in (
                (1, "a red circle", "Euler", 4),
                (2, "a green star", "Euler a", 3),
                (3, "a blue fish", "DPM++ 2M", 4),
                (4, "a yellow house", "Euler", 2),
            )
        ]
        alone = [render(backend, each) for each in plans]
        assert_differ(*(picture for (picture,) in alone))
        together = threading.Barrier(len(plans))

        def start(wanted: Plan) -> list[bytes]:
            together.wait(10)
            return pixels(render(backend, wanted))

        with ThreadPoolExecutor(len(plans)) as pool:
            assert list(pool.map(start, plans)) == [pixels(each) for each in alone]


Break = Callable[[Path, bytes], None]


def cut_off(path: Path, sound: bytes) -> None:
    path.write_bytes(sound[:-1])


def garble(path: Path, sound: bytes) -> None:
    path.write_bytes(b"\xff" * 64 + sound[64:])


def leave_out(path: Path, sound: bytes) -> None:
    pass


class KeepsFirstPasses:
    """What a backend must do that keeps the first passes of hires fix. Fixtures as above."""

    @pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
    def test_the_first_passs_pictures_are_kept_if_wanted(self, backend, checkpoint, upscaler):
        """Spec prompts.md 9.1: as they would be without a second pass, which they do not change."""
        first = plan(checkpoint, seeds=(1, 2), steps=2)
        plain = with_hires(first, upscaler=upscaler)
        hires = msgspec.structs.replace(plain.hires, keep_first_pass=True)
        made = backend.render(msgspec.structs.replace(plain, hires=hires), Witness())
        assert pixels(made.first_pass) == pixels(render(backend, first))
        assert pixels(made.pictures) == pixels(render(backend, plain))
        assert list(backend.render(plain, Witness()).first_pass) == []

    @pytest.mark.parametrize(("at", "kept"), [(2, 0), (4, 1)])
    @pytest.mark.parametrize("verdict", [Verdict.SKIP, Verdict.INTERRUPT])
    def test_a_first_pass_cut_short_is_not_kept(self, backend, checkpoint, verdict, at, kept):
        plain = with_hires(plan(checkpoint, steps=3))
        hires = msgspec.structs.replace(plain.hires, keep_first_pass=True)
        wanted = msgspec.structs.replace(plain, hires=hires)
        assert len(backend.render(wanted, Witness(verdict, at)).first_pass) == kept


class StartsFromPictures:
    """What a backend must do that can start from pictures. Fixtures as for `InferenceContract`."""

    @pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
    def test_pictures_to_start_from_matter_and_so_does_the_strength(
        self, backend, checkpoint, sampler
    ):
        """Spec sampling.md 6.3."""
        plain = plan(checkpoint, sampler=sampler, steps=4)
        made = [
            made_from(backend, from_picture(plain, strength=strength), sources(colour=colour))
            for strength, colour in ((0.6, "red"), (0.6, "blue"), (0.9, "red"))
        ]
        assert [each.size for pictures in made for each in pictures] == [(64, 64)] * 3
        assert_differ(*(pictures[0] for pictures in made))

    def test_each_picture_of_a_batch_starts_from_its_own(self, backend, checkpoint):
        wanted = from_picture(plan(checkpoint, seeds=(1, 2)))
        red, blue = sources().pictures[0], sources(colour="blue").pictures[0]
        first, second = (
            made_from(backend, wanted, Sources(pair)) for pair in ((red, blue), (red, red))
        )
        assert pixels(first)[0] == pixels(second)[0]
        assert_differ(first[1], second[1])

    def test_a_picture_of_another_size_is_stretched(self, backend, checkpoint):
        """Spec images.md 4, mode 3."""
        wanted = from_picture(plan(checkpoint))
        made = made_from(backend, wanted, sources(size=96))
        assert [each.size for each in made] == [(64, 64)]

    def test_as_many_steps_as_the_strength_leaves(self, backend, checkpoint):
        """Spec sampling.md 6.2: one more than that share of them."""
        for strength, steps in ((0.0, 1), (0.5, 6), (1.0, 10), (2.0, 10)):
            witness = Witness()
            wanted = from_picture(plan(checkpoint, steps=10), strength=strength)
            backend.render(wanted, witness, sources())
            assert witness.heard == [(step, steps) for step in range(1, steps + 1)]

    @pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
    def test_what_is_not_masked_is_kept(self, backend, checkpoint, sampler):
        """Nothing may be painted, so no seed shows; under a mask one does (spec images.md 6)."""
        plans = [
            from_picture(plan(checkpoint, seeds=(seed,), sampler=sampler), strength=0.9)
            for seed in (1, 2)
        ]
        plans = [msgspec.structs.replace(each, init=plans[0].init) for each in plans]
        nothing = sources(mask=new_image("L", (64, 64), 0))
        assert len({pixels(made_from(backend, each, nothing))[0] for each in plans}) == 1
        half = new_image("L", (64, 64), 0)
        half.paste(255, (0, 0, 32, 64))
        painted = [made_from(backend, each, sources(mask=half))[0] for each in plans]
        assert_differ(*painted)

    def test_what_lies_under_the_mask_at_first_matters(self, backend, checkpoint):
        """Spec images.md 5."""
        everything = sources(mask=new_image("L", (64, 64), 255))
        made = [
            made_from(backend, from_picture(plan(checkpoint), content=content), everything)
            for content in ("picture", "nothing")
        ]
        assert_differ(made[0][0], made[1][0])

    def test_a_stop_of_a_run_from_a_picture_gives_what_there_is(self, backend, checkpoint):
        witness = Witness(Verdict.INTERRUPT, at=2)
        wanted = from_picture(plan(checkpoint, steps=10))
        made = backend.render(wanted, witness, sources()).pictures
        assert ([each.size for each in made], len(witness.heard)) == ([(64, 64)], 2)


class ModelHostContract:
    """Subclasses give the fixtures `backend`, a new one, and `checkpoint` and `other`: safetensors
    files that it can load.
    """

    @pytest.fixture(params=[leave_out, cut_off, garble], ids=["absent", "truncated", "garbage"])
    def broken(
        self, request: pytest.FixtureRequest, checkpoint: Checkpoint, tmp_path: Path
    ) -> Checkpoint:
        path = tmp_path / "broken.safetensors"
        request.param(path, Path(checkpoint.filename).read_bytes())
        return Checkpoint(name=path.name, filename=str(path))

    def test_at_first_there_is_none(self, backend: Backend):
        assert backend.loaded() is None

    def test_the_last_one_loaded_is_there(self, backend, checkpoint, other):
        backend.load(checkpoint)
        assert backend.loaded() == checkpoint
        backend.load(other)
        assert backend.loaded() == other

    def test_what_is_in_memory_is_told_with_the_one_used_last_first(
        self, backend, checkpoint, other
    ):
        assert not backend.resident()
        for each in (checkpoint, other):
            render(backend, plan(each, steps=1))
            assert backend.resident()[0].checkpoint == each
        assert all(each.size >= 0 and each.jobs == 0 for each in backend.resident())
        assert backend.resident()[0].ready

    def test_a_checkpoint_in_use_is_told_so(self, backend, checkpoint):
        told = []

        def look(step: int, of: int, preview: Callable[[], Image]) -> Verdict:
            told.extend(each.checkpoint for each in backend.resident() if each.ready)
            return Verdict.CONTINUE

        backend.render(plan(checkpoint, steps=1), look)
        assert told == [checkpoint]

    def test_a_render_loads_what_its_plan_names(self, backend, checkpoint, other):
        backend.load(checkpoint)
        (picture,) = render(backend, plan(other, steps=1))
        assert backend.loaded() == other
        assert_differ(picture, *render(backend, plan(checkpoint, steps=1)))

    def test_after_unloading_the_next_render_loads_again(self, backend, checkpoint):
        wanted = plan(checkpoint, steps=1)
        before = pixels(render(backend, wanted))
        backend.unload()
        backend.unload()
        assert backend.loaded() is None
        assert pixels(render(backend, wanted)) == before
        assert backend.loaded() == checkpoint

    def test_a_broken_file_is_named_and_the_previous_one_stays(self, backend, checkpoint, broken):
        backend.load(checkpoint)
        before = pixels(render(backend, plan(checkpoint, steps=1)))
        for attempt in (
            lambda: backend.load(broken),
            lambda: render(backend, plan(broken, steps=1)),
        ):
            with pytest.raises(CheckpointError) as refused:
                attempt()
            assert refused.value.file == broken.filename
            assert backend.loaded() == checkpoint
        assert pixels(render(backend, plan(checkpoint, steps=1))) == before

    def test_a_broken_file_as_the_first_one(self, backend, checkpoint, broken):
        with pytest.raises(CheckpointError):
            backend.load(broken)
        assert backend.loaded() is None
        assert len(render(backend, plan(checkpoint, steps=1))) == 1

    def test_a_vae_that_does_not_load_is_named_and_the_previous_checkpoint_stays(
        self, backend, checkpoint, other, broken
    ):
        backend.load(checkpoint)
        vae = VaeFile(name=broken.name, filename=broken.filename)
        for each in (checkpoint, other):
            with pytest.raises(CheckpointError) as refused:
                backend.load(each, vae)
            assert refused.value.file == broken.filename
            assert backend.loaded() == checkpoint

    def test_a_change_of_model_does_not_disturb_a_render(self, backend, checkpoint, other):
        wanted = plan(checkpoint, steps=3)
        assert_differ(*(render(backend, plan(e, steps=3))[0] for e in (other, checkpoint)))
        before = pixels(render(backend, wanted))

        def change(step: int, of: int, preview: Callable[[], Image]) -> Verdict:
            if step == 1:
                backend.load(other)
            if step == 2:
                backend.unload()
            return Verdict.CONTINUE

        assert pixels(backend.render(wanted, change).pictures) == before
        assert backend.loaded() is None

    def test_memory_is_counted_in_bytes_if_at_all(self, backend, checkpoint):
        backend.load(checkpoint)
        for group in (backend.memory() or {}).values():
            assert all(isinstance(size, int) and size >= 0 for size in group.values())
