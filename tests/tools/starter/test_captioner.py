"""The captioner's training: what it is shown, what it is told, and the file that comes of it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.interrogate.picture_book import load_picture_book, look
from tools.starter.caption_pictures import (
    HEADS,
    KINDS,
    LAYOUTS,
    NOTHING,
    labels_of,
    training_picture,
)
from tools.starter.captioner import Captioner, folded, loss_of, right
from tools.starter.train_captioner import disturbed, export, plain, train_captioner
from tools.starter.world import COLOUR_NAMES, GROUNDS, Picture, Thing, held_out

pytestmark = pytest.mark.torch


def test_a_picture_is_fixed_by_its_number():
    first, second = (training_picture(3, 7, 32) for _ in range(2))
    assert first.labels == second.labels
    assert np.array_equal(np.asarray(first.image), np.asarray(second.image))


def test_labels_tell_what_is_there():
    things = Thing("cat", "red"), Thing("ring", "blue")
    expected = (
        LAYOUTS.index("two"),
        GROUNDS.index("snow"),
        KINDS.index("cat"),
        COLOUR_NAMES.index("red"),
        KINDS.index("ring"),
        COLOUR_NAMES.index("blue"),
    )
    assert labels_of(Picture("snow", things)) == expected
    assert labels_of(Picture("red")) == (0, GROUNDS.index("red"), *[NOTHING] * 4)


def test_held_out_triples_are_never_shown():
    layouts: Counter[str] = Counter()
    for index in range(600):
        layout, ground, *things = training_picture(index, 5, 32).labels
        layouts[LAYOUTS[layout]] += 1
        for kind, colour in (things[:2], things[2:]):
            if kind not in (NOTHING, len(KINDS) - 1):
                assert not held_out(KINDS[kind], COLOUR_NAMES[colour], GROUNDS[ground])
    assert set(layouts) == set(LAYOUTS)
    assert layouts["unknown"] < layouts["one"]


def test_disturbed_pictures_are_still_pictures():
    pixels = torch.randint(0, 256, (4, 3, 80, 80), dtype=torch.uint8)
    x = disturbed(pixels, torch.Generator().manual_seed(1))
    assert x.shape == (4, 3, 64, 64)
    assert x.min() >= -1 and x.max() <= 1
    assert plain(pixels).shape == x.shape


def test_only_heads_with_something_to_say_count():
    answers = torch.zeros(1, sum(map(len, HEADS)))
    answers[0, 0] = 9  # bare
    answers[0, len(LAYOUTS) + 2] = 9  # the third ground
    labels = torch.tensor([[0, 2, NOTHING, NOTHING, NOTHING, NOTHING]])
    assert right(answers, labels).tolist() == [True]
    assert loss_of(answers, labels) < 0.5
    assert right(answers, labels.clamp(min=1)).tolist() == [False]


def settled():
    """A captioner whose normalisations have seen something."""
    torch.manual_seed(0)
    model = Captioner()
    for _ in range(3):
        model(torch.randn(8, 3, 64, 64))
    return model.eval()


def test_the_file_is_the_same_function_in_the_product(tmp_path):
    """Normalisations folded, half precision."""
    model = settled()
    file = export(model, tmp_path / "captioner.safetensors", 1, 0.5)
    book = load_picture_book(file.read_bytes(), "x")
    assert book.side == 64
    assert book.words == HEADS
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, made = model(x), book.network(x)
    assert torch.allclose(made, expected, atol=2e-2)
    book.network.load_state_dict(folded(model))
    with torch.no_grad():
        assert torch.allclose(book.network(x), expected, atol=1e-4)


def test_training_writes_a_file_that_the_product_reads(tmp_path):
    file = train_captioner(
        0.002,
        Path("unused"),
        tmp_path / "c.safetensors",
        renders=96,
        decodes=0,
        drawings=0,
        checks=8,
    )
    seen = look(load_picture_book(file.read_bytes(), "x"), training_picture(1, 1, 128).image)
    assert seen.layout.word in LAYOUTS
