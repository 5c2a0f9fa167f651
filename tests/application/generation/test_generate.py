"""txt2img as a use-case, on the fake backend (spec api.md 5, 9)."""

import threading

import pytest

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import (
    InvalidRequest,
    ModelUnavailable,
    NotFound,
    OptionError,
    QueueFull,
    Unsupported,
)
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.picture_lists import PictureLists
from tests.application.worlds import world


def small(**fields) -> Txt2Img:
    return Txt2Img(**{"prompt": "a cat", "steps": 3, "width": 64, "height": 64, **fields})


def test_infotext_and_info_of_a_plain_request():
    """Spec api.md 9 and 9.1, recording default/minimal."""
    result = world().txt2img(small(seed=1, subseed=7))
    (picture,) = result.pictures
    assert picture.infotext == (
        "a cat\nSteps: 3, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, "
        "Size: 64x64, Model hash: 0123456789, Model: tiny, Version: v1.10.1"
    )
    assert result.info.infotexts == [picture.infotext]
    assert (result.info.all_seeds, result.info.all_subseeds) == ([1], [7])
    assert result.info.sd_model_hash == "0123456789"


def test_a_random_seed_is_drawn_once_and_counted_up():
    """Spec sampling.md 1.4."""
    result = world().txt2img(small(batch_size=2, n_iter=2))
    assert result.info.all_seeds == [1000, 1001, 1002, 1003]
    assert result.info.all_subseeds == [1001, 1002, 1003, 1004]
    assert result.request.seed == -1


def test_a_variation_keeps_the_seed_and_counts_the_subseed():
    """Spec sampling.md 1.4."""
    result = world().txt2img(small(seed=5, subseed=9, subseed_strength=0.5, batch_size=2))
    assert result.info.all_seeds == [5, 5]
    assert result.info.all_subseeds == [9, 10]
    assert "Variation seed: 10, Variation seed strength: 0.5" in result.pictures[1].infotext


def test_a_batch_equals_single_pictures():
    batch = world().txt2img(small(seed=5, batch_size=3))
    for picture, seed in zip(batch.pictures, (5, 6, 7), strict=True):
        (alone,) = world().txt2img(small(seed=seed)).pictures
        assert picture.image.tobytes() == alone.image.tobytes()


def test_sizes_are_rounded_down_to_latents():
    """Recordings errors/w_68 and width_100: the infotext keeps what was asked."""
    (picture,) = world().txt2img(small(width=68, height=76, seed=1)).pictures
    assert picture.image.size == (64, 72)
    assert "Size: 68x76" in picture.infotext


def test_overrides_touch_this_request_alone():
    it = world()
    overridden = it.txt2img(small(seed=1, override_settings={"CLIP_stop_at_last_layers": 2}))
    plain = it.txt2img(small(seed=1))
    assert "Clip skip: 2" in overridden.pictures[0].infotext
    assert "Clip skip" not in plain.pictures[0].infotext
    assert it.options.snapshot().stored == {}


def test_an_override_checkpoint_is_used_by_any_alias_and_dropped_if_unknown():
    """Spec api.md 5.3."""
    it = world()
    for name, used in (("other", "other"), ("other.safetensors", "other"), ("nope", "tiny")):
        result = it.txt2img(small(override_settings={"sd_model_checkpoint": name}))
        assert result.info.sd_model_name == used


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0), ("width", 4), ("height", -64), ("steps", 0), ("steps", -5),
        ("batch_size", 0), ("n_iter", 0), ("cfg_scale", float("nan")), ("seed", 2**70),
        ("seed", 2**64 - 1),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_named(field, value):
    """A1111 answers these with 500 (recordings errors/*)."""
    extra = {"batch_size": 2} if field == "seed" else {}
    with pytest.raises(InvalidRequest) as caught:
        world().txt2img(small(**{**extra, field: value}))
    assert caught.value.field == field


def test_what_is_not_built_says_so():
    """It would change the picture: A1111's of the same seed would be another."""
    fields = {"enable_hr": True, "denoising_strength": 0.5, "firstpass_image": "iVBORw0KGgo="}
    with pytest.raises(Unsupported):
        world().txt2img(small(**fields))
    with pytest.raises(OptionError, match="fp8_storage: 'Enable' is not available"):
        world().txt2img(small(override_settings={"fp8_storage": "Enable"}))


def test_unknown_sampler_and_script_are_not_found():
    for fields in ({"sampler_name": "Nope"}, {"script_name": "nope"}):
        with pytest.raises(NotFound):
            world().txt2img(small(**fields))
    # Recording errors/alwayson_badargs: of the form only, accepted without effect.
    world().txt2img(small(alwayson_scripts={"Refiner": {"args": []}, "Hypertile": {}}))


def test_without_a_checkpoint_it_says_what_to_do():
    with pytest.raises(ModelUnavailable, match=r"models/Stable-diffusion"):
        world(checkpoints=()).txt2img(small())


class Paused:
    """A backend that stops at every step until it is let on."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self._fake = FakeInference()

    def render(self, plan, observer, sources=None):
        def observe(step, of, preview):
            self.reached.set()
            assert self.go.wait(10)
            return observer(step, of, preview)

        return self._fake.render(plan, observe)


def in_background(work):
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def test_interrupt_ends_the_job_with_what_there_is():
    """Spec api.md 11.3."""
    backend = Paused()
    it = world(backend)
    thread, results = in_background(lambda: it.txt2img(small(steps=20, n_iter=3)))
    assert backend.reached.wait(10)
    it.jobs.interrupt()
    backend.go.set()
    thread.join(10)
    (result,) = results
    assert len(result.pictures) == 1
    assert len(result.info.all_seeds) == 3


def test_skip_goes_on_with_the_next_batch():
    """Spec api.md 11.3: the flag is cleared when the next batch starts."""
    backend = Paused()
    it = world(backend)
    thread, results = in_background(lambda: it.txt2img(small(steps=5, n_iter=2, seed=1)))
    assert backend.reached.wait(10)
    it.jobs.skip()
    backend.go.set()
    thread.join(10)
    skipped, whole = results[0].pictures
    (alone,) = world().txt2img(small(steps=5, seed=2)).pictures
    assert whole.image.tobytes() == alone.image.tobytes()
    (first,) = world().txt2img(small(steps=5, seed=1)).pictures
    assert skipped.image.tobytes() != first.image.tobytes()


def test_progress_is_reported_while_it_runs():
    """Spec api.md 11.2."""
    backend = Paused()
    it = world(backend)
    assert it.progress().progress == 0.0
    thread, _ = in_background(lambda: it.txt2img(small(steps=4, n_iter=2)))
    assert backend.reached.wait(10)
    report = it.progress()
    assert report.progress == 0.01
    assert report.state.job == "Batch 1 out of 2"
    assert (report.state.job_count, report.state.job_no) == (2, 0)
    backend.go.set()
    thread.join(10)
    after = it.progress()
    assert (after.progress, after.state.job, after.state.job_count) == (0.0, "", 0)


def test_the_preview_shows_the_picture_so_far():
    it = world()

    class Asking(FakeInference):
        """Looks at /progress from within a step, as another thread would."""

        def render(self, plan, observer, sources=None):
            def observe(step, of, preview):
                verdict = observer(step, of, preview)
                seen.append(it.progress().picture)
                return verdict

            return super().render(plan, observe)

    seen = []
    it = world(Asking())
    it.options.update({"show_progress_every_n_steps": 1})
    it.txt2img(small(steps=4))
    assert [picture.size for picture in seen] == [(64, 64)] * 4
    assert seen[0].tobytes() != seen[3].tobytes()


def test_the_queue_is_bounded():
    backend = Paused()
    it = world(backend, max_waiting=1)
    first, _ = in_background(lambda: it.txt2img(small()))
    assert backend.reached.wait(10)
    second, _ = in_background(lambda: it.txt2img(small()))
    while not it.jobs.waiting():
        pass
    with pytest.raises(QueueFull) as caught:
        it.txt2img(small())
    assert caught.value.retry_after >= 1
    backend.go.set()
    first.join(10)
    second.join(10)


def test_a_client_that_goes_away_is_not_drawn_for():
    """Its job ends within two steps and the server goes on."""
    steps = []

    class Counting(FakeInference):
        def render(self, plan, observer, sources=None):
            def observe(step, of, preview):
                steps.append(step)
                return observer(step, of, preview)

            return super().render(plan, observe)

    it = world(Counting())
    it.txt2img(small(steps=50), abandoned=lambda: len(steps) >= 2)
    assert len(steps) <= 3
    assert len(it.txt2img(small()).pictures) == 1


def test_a_failing_backend_frees_its_slot():
    class Broken:
        def render(self, plan, observer, sources=None):
            observer(1, 1, lambda: None)
            raise RuntimeError("out of memory")

    it = world(Broken())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of memory"):
            it.txt2img(small())
    assert it.jobs.current() is None


def test_verdicts_are_three():
    assert {verdict.name for verdict in Verdict} == {"CONTINUE", "SKIP", "INTERRUPT"}


def test_a_wrong_type_from_python_is_named():
    it = world()
    for wrong, field in (({"steps": "20"}, "steps"), ({"width": None}, "width")):
        with pytest.raises(InvalidRequest) as caught:
            it.txt2img(Txt2Img(**wrong))
        assert caught.value.field == field
    with pytest.raises(InvalidRequest, match="seeds: must be a tuple of integers or None"):
        it.txt2img(Txt2Img(), lists=PictureLists(seeds=("1",)))
    with pytest.raises(InvalidRequest, match="request: must be Txt2Img, not "):
        it.txt2img("a cat")


def test_lists_may_be_lists():
    made = world().txt2img(
        small(n_iter=2), lists=PictureLists(prompts=["a", "b"], seeds=[5, 9], subseeds=[1, 2])
    )
    assert (made.info.all_prompts, made.info.all_seeds) == (["a", "b"], [5, 9])
