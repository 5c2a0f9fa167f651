"""docs/adding-a-family.md, done: its diff makes a family, recognised and drawn as such."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.sight import assert_differ

#: What a fresh process does with the copy: loads both files, and makes a picture with each.
USE = """
from pathlib import Path
from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint

request["steps"] = 3
told = {"from": bootstrap.__file__}
for name in ("marked", "plain"):
    reply = made(override_settings={"sd_model_checkpoint": name})
    model = load_checkpoint(Path(f"checkpoints/{name}.safetensors"))
    facts = [model.family.name, model.prediction, model.scale_factor]
    told[name] = {"facts": facts, "picture": reply["images"][0]}
print(json.dumps(told))
"""


@pytest.mark.torch
def test_its_diff_makes_a_family(page) -> None:
    import torch

    from tests.adapters.gpu.torch_backend.layouts import write_small

    family = page("adding-a-family")
    checkpoints = family.folder / "checkpoints"
    checkpoints.mkdir()
    write_small(checkpoints / "plain.safetensors")
    write_small(checkpoints / "marked.safetensors", v_pred=torch.ones(1))
    made = family.use(USE, "--backend", "torch", "--ckpt-dir", "checkpoints")
    assert Path(made["from"]).parent == family.folder
    marked, plain = made["marked"], made["plain"]
    assert plain["facts"] == ["SD1", "epsilon", 0.18215]
    assert marked["facts"] == ["SD1 XL-VAE", "v", 0.13025]
    assert_differ(*(Image.open(BytesIO(b64decode(each["picture"]))) for each in (marked, plain)))


def test_it_costs_what_it_says(page) -> None:
    family = page("adding-a-family")
    assert (len(family.files), family.lines) == (2, 14)
