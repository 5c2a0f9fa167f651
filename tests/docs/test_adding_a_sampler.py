"""docs/adding-a-sampler.md, done: its diff makes a sampler, listed and usable."""

from pathlib import Path

import pytest

from hexfusion.domain.sampling.samplers import SAMPLERS

USE = """
replies = [made(sampler_name=name) for name in ("ab2", "Euler")]
print(json.dumps({
    "from": bootstrap.__file__,
    "samplers": client.simulate_get("/sdapi/v1/samplers").json,
    "pictures": [reply["images"][0] for reply in replies],
    "infotext": json.loads(replies[0]["info"])["infotexts"][0],
}))
"""


@pytest.mark.parametrize("backend", ["fake", pytest.param("torch", marks=pytest.mark.torch)])
def test_its_diff_makes_a_sampler(page, backend: str) -> None:
    sampler = page("adding-a-sampler")
    made = sampler.use(USE, "--backend", backend)
    assert Path(made["from"]).parent == sampler.folder
    assert len(made["samplers"]) == len(SAMPLERS) + 1
    assert made["samplers"][-1] == {"name": "Adams-Bashforth", "aliases": ["ab2"], "options": {}}
    assert "Sampler: Adams-Bashforth, Schedule type: Automatic," in made["infotext"]
    mine, eulers = made["pictures"]
    assert mine != eulers


def test_it_costs_what_it_says(page) -> None:
    sampler = page("adding-a-sampler")
    assert (len(sampler.files), sampler.lines) == (3, 17)
