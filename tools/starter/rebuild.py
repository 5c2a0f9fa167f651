"""A training folder out of an exported file, so that training can go on where its state is lost.

The inverse of `export.py`: exporting the folder again gives the file's UNet, text model, decoder
and quantisers bit for bit. What a file does not hold starts anew: the optimisers' momenta, and the
weights that were averaged (the average is trained on). Weights come back with the 11 bits of fp16.
"""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from .drawing import part_of, small_text
from .export import decoder_weights, unet_weights
from .optim import build_optimisers
from .train import Model


def rebuild(file: Path, folder: Path) -> None:
    """Write `folder`/state.pt and decoder.pt from the checkpoint `file`.

    Raises FileExistsError where the folder has a state already, KeyError where `file` does not
    say how many pictures it was trained on, RuntimeError where its tensors are not this model's.
    """
    targets = [folder / "state.pt", folder / "decoder.pt"]
    for target in targets:
        if target.exists():
            raise FileExistsError(f"{target} is there already: name another --folder")
    with safe_open(file, framework="pt") as source:
        said = source.metadata() or {}
    seen, crops = (int(said[f"hexfusion.{name}_seen"]) for name in ("pictures", "decoder_crops"))
    weights = load_file(file)
    model = Model()
    model.unet.load_state_dict(unet_weights(part_of(weights, "model.diffusion_model."), back=True))
    model.text.load_state_dict(small_text(weights))
    average = model.state_dict()
    decoder = decoder_weights(part_of(weights, "first_stage_model.decoder."), back=True)
    states = [
        {
            "model": average,
            "ema": average,
            # Their rates are the next run's; there are no momenta yet.
            "optimisers": [each.state_dict() for each in build_optimisers(model, 0.0, 0.0)],
            "seen": seen,
        },
        {"model": decoder, "ema": decoder, "seen": crops},
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for state, target in zip(states, targets, strict=True):
        torch.save(state, target)
