"""Hypertile: self-attention in tiles of changing size (spec sampling.md 7, scripts.md 14).

The cost of attention grows with the square of its tokens, so each tile attends to itself only. The
tile size is drawn anew at each layer, so that no edges show.
"""

from collections.abc import Callable
from math import gcd, sqrt
from random import Random

from torch import Tensor

from hexfusion.domain.plan import Hypertile

Attend = Callable[[Tensor], Tensor]


def tile_side(width: int, height: int, max_tile: int) -> int:
    """A tile's side in pixels: the largest power of two that divides both, at most `max_tile`."""
    common = gcd(width, height)
    return min(common & -common, max_tile)


def minimum_edge(tile: int, depth: int) -> int:
    """The shortest edge of a tile, in tokens, at a depth. It doubles with the depth."""
    return max(128, tile) // 8 << depth


def counts(side: int, minimum: int, swap_size: int) -> list[int]:
    """The choices of how many tiles to cut `side` tokens into: the `swap_size` highest counts
    whose tiles are at least `minimum` tokens long."""
    edges = [edge for edge in range(min(minimum, side), side + 1) if side % edge == 0]
    return [side // edge for edge in edges[: max(1, swap_size)]]


def draw_count(draws: Random, side: int, minimum: int, swap_size: int) -> int:
    """One of `counts` at random. Draws even from a single choice, as later draws depend on it."""
    choices = counts(side, minimum, swap_size)
    return choices[draws.randint(0, len(choices) - 1)]


def token_grid(tokens: int, width: int, height: int) -> tuple[int, int]:
    """(height, width) of a layer's tokens, as A1111 guesses it from their number.

    It takes width / height of the picture for height / width: oblong pictures get their grid on
    its side, and tiles that are strips of the true one. Kept, as pictures depend on it.
    """
    ratio = width / height
    down, across = round(sqrt(tokens * ratio)), round(sqrt(tokens / ratio))
    if down * across == tokens:
        return down, across
    if down and tokens % down == 0:
        return down, tokens // down
    if across and tokens % across == 0:
        return tokens // across, across
    divisors = (edge for edge in range(1, tokens + 1) if tokens % edge == 0)
    down = min(divisors, key=lambda edge: abs(edge * edge / tokens - ratio))
    return down, tokens // down


def tiled_tokens(
    attend: Attend,
    tokens: Tensor,
    hypertile: Hypertile,
    size: tuple[int, int],
    depth: int,
    draws: Random,
) -> Tensor:
    """Self-attention of a UNet's (rows, n, channels), tile by tile.

    `size` is (width, height) of the picture in pixels, `depth` the layer's.
    """
    rows, count, channels = tokens.shape
    height, width = token_grid(count, *size)
    minimum = minimum_edge(tile_side(*size, hypertile.max_tile), depth)
    down = draw_count(draws, height, minimum, hypertile.swap_size)
    across = draw_count(draws, width, minimum, hypertile.swap_size)
    if down * across == 1:
        return attend(tokens)
    cut = tokens.reshape(rows, down, height // down, across, width // across, channels)
    tiles = cut.transpose(2, 3)
    done = attend(tiles.reshape(rows * down * across, -1, channels))
    return done.reshape(tiles.shape).transpose(2, 3).reshape(tokens.shape)


def tiled_image(
    attend: Attend, image: Tensor, hypertile: Hypertile, size: tuple[int, int], draws: Random
) -> Tensor:
    """`tiled_tokens` for the VAE's attention block, over `image` (n, channels, h, w).

    The block includes its normalisation, so each tile is normalised by itself.
    """
    n, channels, height, width = image.shape
    minimum = minimum_edge(tile_side(*size, hypertile.max_tile), depth=0)
    down = draw_count(draws, height, minimum, hypertile.swap_size)
    across = draw_count(draws, width, minimum, hypertile.swap_size)
    if down * across == 1:
        return attend(image)
    edges = height // down, width // across
    tiles = image.reshape(n, channels, down, edges[0], across, edges[1]).permute(0, 2, 4, 1, 3, 5)
    done = attend(tiles.reshape(n * down * across, channels, *edges).contiguous())
    return done.reshape(tiles.shape).permute(0, 3, 1, 4, 2, 5).reshape(image.shape)
