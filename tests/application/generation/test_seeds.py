"""Seeds of 64 bits, from the request to plans, infotext and names (spec sampling.md 1.4)."""

import json

import pytest

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.http.wire.json_results import info_text
from hexfusion.adapters.storage.results.images_memory import MemoryImages
from hexfusion.application.jobs.job import Job
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import MAX_SEED, MIN_SEED, Txt2Img
from hexfusion.domain.picture_lists import PictureLists
from tests.application.worlds import world

LINE = "x\nSteps: 3, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0"


def small(**fields) -> Txt2Img:
    return Txt2Img(**{"prompt": "a cat", "steps": 3, "width": 64, "height": 64, **fields})


class Watched(FakeInference):
    """Notes the seeds and subseeds of every plan."""

    def __init__(self) -> None:
        super().__init__()
        self.noises: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def render(self, plan, observer, sources=None):
        self.noises.append((plan.noise.seeds, plan.noise.subseeds))
        return super().render(plan, observer, sources)


SEEDS = [
    MAX_SEED,
    MAX_SEED - 1,
    2**63,
    2**63 + 1,
    2**63 - 1,
    2**63 - 2,
    2**53 + 1,
    2**32,
    2**31,
    -2,
    -(2**31) - 1,
    -(2**63) + 1,
    MIN_SEED,
]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_reaches_plan_picture_and_infotext(seed: int) -> None:
    watched = Watched()
    result = world(watched).txt2img(small(seed=seed, subseed=seed, subseed_strength=0.5))
    assert watched.noises == [((seed,), (seed,))]
    assert f"Seed: {seed}, " in result.pictures[0].infotext
    assert f"Variation seed: {seed}, " in result.pictures[0].infotext
    assert result.info.all_seeds == result.info.all_subseeds == [seed]
    assert json.loads(info_text(result.info))["all_seeds"] == [seed]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_in_an_infotext(seed: int) -> None:
    """Spec api.md 10; what is in the request itself comes first."""
    text = f"{LINE}, Seed: {seed}, Size: 64x64, Variation seed: {seed}, Variation seed strength: 1"
    result = world().txt2img.prepare(Txt2Img(infotext=text, steps=3), given={"infotext", "steps"})
    made = result(Job("txt2img", lambda: 0.0))
    assert made.info.all_seeds == made.info.all_subseeds == [seed]


@pytest.mark.parametrize(
    ("first", "count"),
    [
        (2**63 - 2, (2, 2)),
        (2**63 - 1, (4, 1)),
        (2**64 - 4, (2, 2)),
        (2**32 - 1, (2, 2)),
        (-3, (2, 3)),
        (MIN_SEED, (1, 4)),
    ],
)
def test_batches_step_over_the_borders(first: int, count: tuple[int, int]) -> None:
    """-1 among the seeds of a batch is the number, not a random one."""
    watched = Watched()
    size, iterations = count
    result = world(watched).txt2img(small(seed=first, batch_size=size, n_iter=iterations))
    expected = [first + number for number in range(size * iterations)]
    assert result.info.all_seeds == expected
    assert [seed for seeds, _ in watched.noises for seed in seeds] == expected


@pytest.mark.parametrize("field", ["seed", "subseed"])
@pytest.mark.parametrize("value", [2**64, MIN_SEED - 1, 2**70, -(2**64), 10**400])
def test_what_no_generator_takes_is_refused(field: str, value: int) -> None:
    """A1111 answers 500 (recording errors/seed_huge)."""
    with pytest.raises(InvalidRequest) as refused:
        world().txt2img(small(**{field: value}))
    assert refused.value.field == field
    assert f"from {MIN_SEED} to {MAX_SEED}" in refused.value.message


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"seed": MAX_SEED, "batch_size": 2}, "seed"),
        ({"seed": MAX_SEED, "n_iter": 2}, "seed"),
        ({"seed": MAX_SEED - 2, "batch_size": 2, "n_iter": 2}, "seed"),
        ({"subseed": MAX_SEED, "batch_size": 2}, "subseed"),
        ({"seed": 1, "subseed": MAX_SEED, "subseed_strength": 1, "n_iter": 2}, "subseed"),
    ],
)
def test_a_batch_that_leads_beyond_is_refused(fields, field: str) -> None:
    with pytest.raises(InvalidRequest, match="last picture") as refused:
        world().txt2img(small(**fields))
    assert refused.value.field == field


def test_a_variation_does_not_count_its_seed_up() -> None:
    result = world().txt2img(small(seed=MAX_SEED, subseed=5, subseed_strength=0.1, batch_size=3))
    assert result.info.all_seeds == [MAX_SEED] * 3


@pytest.mark.parametrize(("field", "value"), [("seeds", MIN_SEED - 1), ("subseeds", MAX_SEED + 1)])
def test_lists_are_bounded_likewise(field: str, value: int) -> None:
    lists = PictureLists(**{field: (value, 1)})
    with pytest.raises(InvalidRequest):
        world().txt2img(small(batch_size=2), lists=lists)
    fine = PictureLists(seeds=(MIN_SEED, MAX_SEED), subseeds=(MAX_SEED, MIN_SEED))
    assert world().txt2img(small(batch_size=2), lists=fine).info.all_seeds == [MIN_SEED, MAX_SEED]


@pytest.mark.parametrize("seed", [MAX_SEED, MIN_SEED, 2**63])
def test_seeds_in_names_of_files(seed: int) -> None:
    """Spec prompts.md 9.3: [seed]."""
    archive = MemoryImages()
    it = world(archive=archive)
    it.options.update({"samples_filename_pattern": "[seed]-[seed_first]"})
    it.txt2img(small(seed=seed, save_images=True))
    assert any(f"{seed}-{seed}" in str(path) for path in archive.files), archive.files


@pytest.mark.parametrize("seed", [MAX_SEED, 2**63, -(2**63), 2**63 - 1])
def test_prompts_from_text_name_such_seeds(seed: int) -> None:
    """Spec scripts.md 7: `--seed` of a line."""
    made = world().txt2img(
        small(
            script_name="prompts from file or textbox",
            script_args=[False, False, "start", f"--prompt 'a' --seed {seed} --subseed {seed}"],
        )
    )
    assert made.info.all_seeds == [-1] or seed in made.info.all_seeds
    assert f"Seed: {seed}, " in made.pictures[0].infotext
