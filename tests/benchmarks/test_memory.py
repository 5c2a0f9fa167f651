"""What the benchmarks of memory conclude from what they see."""

import pytest

from benchmarks import soak
from benchmarks.hostile_memory import ATTACKS, LIMIT, Seen, held


def looks(*rss: float) -> list[soak.Look]:
    return [soak.Look(number, "txt2img", each, 1.0) for number, each in enumerate(rss)]


def test_growth_is_of_the_last_third_against_the_second():
    assert soak.growth(looks(1, 1, 100, 100, 102, 104)) == pytest.approx(0.03)
    assert soak.growth(looks(500, 500, 100, 100, 100, 100)) == 0
    assert soak.growth(looks(1, 1, 100, 100, 90, 90, 90)) < 0


def test_a_soak_asks_for_everything_by_both_checkpoints_and_always_for_the_same():
    made = list(soak.orders(60, ["a", "b"], ["lora"]))
    assert {kind for kind, _, _ in made} == {
        "txt2img", "LoRA", "hires", "img2img", "inpainting", "extras"
    }  # fmt: skip
    models = {body.get("override_settings", {}).get("sd_model_checkpoint") for _, _, body in made}
    assert models == {"a", "b", None}
    assert made == list(soak.orders(60, ["a", "b"], ["lora"]))
    assert not any("lora:" in str(body) for _, _, body in soak.orders(60, ["a", "b"], []))


@pytest.mark.parametrize(
    ("fields", "well"),
    [
        ({"peak": 2000.0, "statuses": {"200": 1, "429": 3, "507": 1}}, True),
        ({"peak": LIMIT / 1e6 + 1}, False),
        ({"peak": 10.0, "killed": True}, False),
        ({"peak": 10.0, "statuses": {"200": 1, "500": 1}}, False),
    ],
)
def test_what_a_server_must_hold(fields, well):
    assert held(Seen("x", **fields)) is well


def test_attacks_have_names_of_their_own():
    assert len({each.name for each in ATTACKS}) == len(ATTACKS)
