"""The shipped captioner, which describes pictures of the starter checkpoint's kind.

A small convolutional network, trained by `tools/starter`; the words of its outputs are in the
file's header. Uncertain guesses are left out (see `domain.interrogation.starter_captions`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.files.filling import fill_module
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.interrogation.starter_captions import ObjectGuess, SceneGuess, WordGuess

_WORDS = ("layouts", "grounds", "kinds", "colours")


class PictureBookNet(nn.Module):
    """The network: pictures (B, 3, S, S), -1 to 1, to logits (B, answers).

    A convolution that changes the width has stride 2, any other is residual. Maximum and mean over
    the whole picture, its left and its right half are pooled.
    """

    def __init__(self, widths: Sequence[int], first: int, hidden: int, answers: int) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        sides = [first] + [3] * (len(pairs) - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(into, out, side, 1 if into == out else 2, side // 2)
            for (into, out), side in zip(pairs, sides, strict=True)
        )
        self.hidden = nn.Linear(6 * widths[-1], hidden)
        self.heads = nn.Linear(hidden, answers)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            made = conv(x)
            x = functional.relu(x + made if made.shape == x.shape else made)
        half = x.shape[-1] // 2
        parts = (x, x[..., :half], x[..., half:])
        pooled = [each for part in parts for each in (part.amax((2, 3)), part.mean((2, 3)))]
        return self.heads(functional.relu(self.hidden(torch.cat(pooled, 1))))


@dataclass(frozen=True, eq=False)
class PictureBook:
    """The network, the side of its input pictures in pixels, and the words of each output."""

    network: PictureBookNet
    side: int
    words: tuple[tuple[str, ...], ...]


def load_picture_book(data: bytes, file: str) -> PictureBook:
    """Load it from the bytes of a safetensors file. Raises `CheckpointError`, naming `file`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state = load(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        read = [tuple(json.loads(metadata[f"hexfusion.{name}"])) for name in _WORDS]
        layouts, grounds, kinds, colours = read
        side = int(metadata["hexfusion.side"])
        convs = [state[f"convs.{k}.weight"].shape for k in range(_count(state))]
        widths = [convs[0][1], *(shape[0] for shape in convs)]
        words = (layouts, grounds, kinds, colours, kinds, colours)
        with torch.device("meta"):
            network = PictureBookNet(
                widths, convs[0][-1], state["hidden.weight"].shape[0], sum(map(len, words))
            )
    except (SafetensorError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(file, f"is no captioner of the starter's world: {error}") from error
    return PictureBook(fill_module(network, state, file), side, words)


def _count(state: dict[str, Tensor]) -> int:
    return sum(name.startswith("convs.") and name.endswith(".weight") for name in state)


@torch.inference_mode()
def look(book: PictureBook, picture: Image) -> SceneGuess:
    """What an RGB picture of any size shows, with the probability of each guess."""
    small = picture.resize((book.side, book.side), Resampling.BOX)
    pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float()
    answers = book.network(pixels / 127.5 - 1)[0]
    parts = answers.split([len(words) for words in book.words])
    guesses = [_guess(part, words) for part, words in zip(parts, book.words, strict=True)]
    layout, ground, first, first_colour, second, second_colour = guesses
    return SceneGuess(
        layout, ground, (ObjectGuess(first, first_colour), ObjectGuess(second, second_colour))
    )


def _guess(answers: Tensor, words: Sequence[str]) -> WordGuess:
    probability, index = answers.softmax(-1).max(-1)
    return WordGuess(words[int(index)], float(probability))
