"""Token merging, ToMe (Bolya & Hoffman 2023, arXiv:2303.17604; spec sampling.md 7).

The cost of self-attention grows with the square of its tokens. Before it, tokens that are most like
another are averaged into that one; after it, they get that one's result.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Matching:
    """Which tokens are merged into which.

    `destinations` (d,) and `sources` (s,) are indices that divide a row's tokens. `merged` (rows,
    r) and `kept` (rows, s - r) are positions in `sources`, `into` (rows, r) positions in
    `destinations`: where each merged token goes.
    """

    destinations: Tensor
    sources: Tensor
    merged: Tensor
    kept: Tensor
    into: Tensor

    def merge(self, tokens: Tensor) -> Tensor:
        """(rows, n, channels) to (rows, n - r, channels): the kept sources, then destinations."""
        sources, destinations = tokens[:, self.sources], tokens[:, self.destinations]
        kept, merged = _take(sources, self.kept), _take(sources, self.merged)
        means = destinations.scatter_reduce(1, _wide(self.into, tokens), merged, reduce="mean")
        return torch.cat((kept, means), dim=1)

    def unmerge(self, tokens: Tensor) -> Tensor:
        """(rows, n - r, channels) to (rows, n, channels): a merged one copies its destination."""
        kept, destinations = tokens.split((self.kept.shape[1], len(self.destinations)), dim=1)
        sources = tokens.new_empty(tokens.shape[0], len(self.sources), tokens.shape[2])
        sources.scatter_(1, _wide(self.kept, tokens), kept)
        sources.scatter_(1, _wide(self.merged, tokens), _take(destinations, self.into))
        whole = tokens.new_empty(
            tokens.shape[0], len(self.sources) + len(self.destinations), tokens.shape[2]
        )
        whole[:, self.sources] = sources
        whole[:, self.destinations] = destinations
        return whole


def match(tokens: Tensor, grid: tuple[int, int], ratio: float) -> Matching | None:
    """Pair each row's most alike tokens: (rows, h * w, channels) on a grid of (h, w).

    The top-left of every 2 x 2 cell is a destination, all others are sources. The
    int(h * w * `ratio`) sources closest to a destination, by cosine, are merged into it; None
    where there are none to merge. Each row is matched on its own.
    """
    height, width = grid
    is_destination = torch.zeros(height, width, dtype=torch.bool, device=tokens.device)
    # An odd last row or column is not a cell.
    is_destination[: height // 2 * 2 : 2, : width // 2 * 2 : 2] = True
    destinations = is_destination.flatten().nonzero()[:, 0]
    sources = (~is_destination).flatten().nonzero()[:, 0]
    count = min(int(height * width * ratio), len(sources))
    if count < 1 or not len(destinations):
        return None
    directions = tokens / tokens.norm(dim=-1, keepdim=True)
    alike = directions[:, sources] @ directions[:, destinations].transpose(1, 2)
    best, nearest = alike.max(dim=-1)
    order = best.argsort(dim=-1, descending=True, stable=True)
    merged, kept = order[:, :count], order[:, count:]
    return Matching(destinations, sources, merged, kept, nearest.gather(1, merged))


def _take(tokens: Tensor, positions: Tensor) -> Tensor:
    return tokens.gather(1, _wide(positions, tokens))


def _wide(positions: Tensor, tokens: Tensor) -> Tensor:
    """(rows, k) positions for all channels of (rows, n, channels)."""
    return positions.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
