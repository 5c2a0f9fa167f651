"""Hypertile's arithmetic and its cutting. Spec sampling.md 7 and scripts.md 14."""

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.adapters.gpu.torch_backend.patches.tweaks.hypertile import (
    counts,
    draw_count,
    minimum_edge,
    tile_side,
    tiled_image,
    tiled_tokens,
    token_grid,
)
from hexfusion.domain.plan import Hypertile

pytestmark = pytest.mark.torch


class Draws(Random):
    """Writes down what is asked of it, and answers as told."""

    def __init__(self, *answers):
        super().__init__(0)
        self.answers, self.asked = list(answers), []

    def randint(self, a, b):
        self.asked.append((a, b))
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("width", "height", "max_tile", "side"),
    [
        (512, 512, 256, 256),
        (512, 512, 512, 512),
        (512, 768, 1024, 256),
        (640, 960, 256, 64),
        (520, 512, 256, 8),
        (512, 512, 0, 0),
        (512, 512, 200, 200),
    ],
)
def test_the_tile_is_a_power_of_two_of_both_sides(width, height, max_tile, side):
    assert tile_side(width, height, max_tile) == side


@pytest.mark.parametrize(
    ("tile", "depth", "edge"),
    [(256, 0, 32), (256, 1, 64), (256, 3, 256), (128, 0, 16), (8, 2, 64), (0, 0, 16)],
)
def test_the_shortest_edge_doubles_with_the_depth(tile, depth, edge):
    """Never below 128 pixels, 16 tokens."""
    assert minimum_edge(tile, depth) == edge


@pytest.mark.parametrize(
    ("side", "minimum", "swap_size", "expected"),
    [
        (64, 32, 3, [2, 1]),
        (64, 16, 3, [4, 2, 1]),
        (64, 16, 2, [4, 2]),
        (96, 16, 3, [6, 4, 3]),  # edges 16, 24, 32
        (96, 16, 64, [6, 4, 3, 2, 1]),
        (64, 16, 0, [4]),  # at least one
        (8, 32, 3, [1]),  # shorter than the shortest edge
        (17, 16, 3, [1]),
    ],
)
def test_into_how_many_tiles_a_side_may_be_cut(side, minimum, swap_size, expected):
    assert counts(side, minimum, swap_size) == expected


def test_a_count_is_drawn_also_where_there_is_no_choice():
    draws = Draws(0, 1)
    assert draw_count(draws, 8, 32, 3) == 1
    assert draw_count(draws, 64, 16, 3) == 2
    assert draws.asked == [(0, 0), (0, 2)]


@pytest.mark.parametrize(
    ("tokens", "width", "height", "grid"),
    [
        (64 * 64, 512, 512, (64, 64)),
        (12 * 20, 160, 96, (20, 12)),  # 12 high and 20 wide in truth: exchanged
        (20 * 12, 96, 160, (12, 20)),
        (5 * 9, 136, 72, (9, 5)),
        (2048, 512, 512, (32, 64)),  # half of 64 x 64 merged away: no square
        (67, 512, 512, (1, 67)),  # a prime
        (1, 512, 512, (1, 1)),
        (3, 2048, 8, (3, 1)),
    ],
)
def test_the_grid_is_guessed_from_the_number_of_tokens(tokens, width, height, grid):
    assert token_grid(tokens, width, height) == grid


@given(st.integers(1, 5000), st.integers(1, 256), st.integers(1, 256))
def test_a_guessed_grid_holds_all_tokens(tokens, width, height):
    down, across = token_grid(tokens, width * 8, height * 8)
    assert down * across == tokens


def attention(tokens):
    """Self-attention without weights: every token sees every other of its row."""
    return torch.softmax(tokens @ tokens.transpose(1, 2), dim=-1) @ tokens


def normals(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_tokens_see_their_tile_alone():
    """A count for the height is drawn first. Each tile's result is what it gets by itself."""
    tokens, size = normals(2, 64 * 32, 3), (256, 512)  # exchanged, so 32 x 64 is cut
    draws = Draws(0, 1)
    done = tiled_tokens(attention, tokens, Hypertile(max_tile=128), size, 0, draws)
    assert draws.asked == [(0, 1), (0, 2)]  # 32 = 2 x 16 or 1 x 32; 64 = 4 x 16, 2 x 32, 1 x 64
    grid, expected = tokens.reshape(2, 32, 64, 3), torch.empty(2, 32, 64, 3)
    for top in (0, 16):
        for left in (0, 32):
            tile = grid[:, top : top + 16, left : left + 32]
            own = attention(tile.reshape(2, -1, 3)).reshape(tile.shape)
            expected[:, top : top + 16, left : left + 32] = own
    torch.testing.assert_close(done.reshape(expected.shape), expected)
    assert not torch.allclose(done, attention(tokens))


def test_one_tile_is_no_tile():
    tokens = normals(1, 64, 3)
    draws = Draws(0, 0)
    done = tiled_tokens(attention, tokens, Hypertile(max_tile=256), (64, 64), 0, draws)
    assert torch.equal(done, attention(tokens))
    assert len(draws.asked) == 2


def test_deeper_layers_are_cut_less():
    """64 x 64 tokens at depth 1 are two times two levels of 32 tokens at least, at depth 2 one."""
    tokens, seen = normals(1, 64 * 64, 1), []

    def attend(tiles):
        seen.append(tuple(tiles.shape[:2]))
        return tiles

    for depth in (0, 1, 2):
        tiled_tokens(attend, tokens, Hypertile(max_tile=128), (512, 512), depth, Draws(0, 0))
    assert seen == [(16, 256), (4, 1024), (1, 4096)]


@pytest.mark.parametrize("answers", [(0, 0), (2, 1), (1, 2)])
def test_what_is_cut_is_put_together_again(answers):
    tokens, image = normals(3, 64 * 64, 2), normals(2, 3, 64, 48)
    hypertile = Hypertile(max_tile=128)
    same = tiled_tokens(torch.clone, tokens, hypertile, (512, 512), 0, Draws(*answers))
    assert torch.equal(same, tokens)
    same = tiled_image(torch.clone, image, hypertile, (384, 512), Draws(answers[0], 1))
    assert torch.equal(same, image)


def test_an_image_is_cut_by_its_own_sides():
    """The VAE's layers know their height and width: nothing is exchanged."""
    image, seen = normals(1, 2, 32, 64), []

    def mean(tiles):
        seen.append(tuple(tiles.shape))
        return tiles.mean((2, 3), keepdim=True).expand(tiles.shape)

    draws = Draws(0, 1)
    done = tiled_image(mean, image, Hypertile(max_tile=128), (512, 256), draws)
    assert draws.asked == [(0, 1), (0, 2)]
    assert seen == [(4, 2, 16, 32)]
    torch.testing.assert_close(done[0, :, 0, 40], image[0, :, :16, 32:].mean((1, 2)))
    torch.testing.assert_close(done[0, :, 20, 5], image[0, :, 16:, :32].mean((1, 2)))
