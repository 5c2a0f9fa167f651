"""Brownian noise for SDE samplers: increments of one Brownian path per image.

Runs with the same seed use the same path for any number of steps, so a picture changes little with
the number of steps. The path is a virtual Brownian tree, computed only where needed (Li et al.
2020, arXiv:2001.01328). Its numbers are those of torchsde's BrownianTree (spec sampling.md 1.8).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.noise import CPU, Shape, open_stream
from hexfusion.domain.sampling.options import RandnSource

TIME_DIGITS = 6
POOL_SIZE = 24
ROOT = (0, 0)

Node = tuple[int, int]
"""(key, depth): the children of (k, d) are (2k, d + 1) and (2k + 1, d + 1)."""


class BrownianTree:
    """One Brownian path W of tensors of `shape`, on the times [start, end].

    All increments are determined by `entropy`. Those computed for the latest query are cached,
    as the next query mostly needs them again.
    """

    def __init__(
        self,
        start: float,
        end: float,
        shape: Shape,
        entropy: int,
        *,
        source: RandnSource = "GPU",
        device: torch.device = CPU,
    ) -> None:
        self._shape, self._source, self._device = shape, source, device
        # SeedSequence takes no negative number; torch reads one modulo 2**64 as well.
        self._entropy = entropy % 2**64
        self._start, self._end = round(start, TIME_DIGITS), round(end, TIME_DIGITS)
        root = np.random.SeedSequence(self._entropy, pool_size=POOL_SIZE).generate_state(3)
        self._known = {ROOT: self._normal(root) * math.sqrt(end - start)}

    def increment(self, start: float, end: float) -> Tensor:
        """W(end) - W(start), start <= end; times outside the path's range are moved into it."""
        low, high = self._clamp(start), self._clamp(end)
        seen: dict[Node, Tensor] = {}
        pieces: list[Tensor] = []
        if low < high:
            self._collect(ROOT, self._start, self._end, low, high, seen, pieces)
        self._known = {ROOT: self._known[ROOT], **seen}
        return sum(pieces[1:], pieces[0]) if pieces else torch.zeros_like(self._known[ROOT])

    def _clamp(self, time: float) -> float:
        return min(max(round(time, TIME_DIGITS), self._start), self._end)

    def _collect(
        self,
        node: Node,
        start: float,
        end: float,
        low: float,
        high: float,
        seen: dict[Node, Tensor],
        pieces: list[Tensor],
    ) -> None:
        """Append the increments that make up [low, high] within `node`, left to right."""
        seen[node] = self._known[node]
        if (start, end) == (low, high):
            pieces.append(seen[node])
            return
        middle = round((end + start) / 2, TIME_DIGITS)
        key, depth = node
        left, right = (2 * key, depth + 1), (2 * key + 1, depth + 1)
        if left not in self._known:
            self._split(node, start, middle, end)
        # Both halves are cached: the next query is of a neighbouring interval.
        seen[left], seen[right] = self._known[left], self._known[right]
        if low < middle:
            self._collect(left, start, middle, low, min(high, middle), seen, pieces)
        if high > middle:
            self._collect(right, middle, end, max(low, middle), high, seen, pieces)

    def _split(self, node: Node, start: float, middle: float, end: float) -> None:
        """Draw W(middle) given both ends: a Brownian bridge."""
        key, depth = node
        seeds = np.random.SeedSequence(self._entropy, spawn_key=node, pool_size=POOL_SIZE)
        whole = self._known[node]
        scale, left, right = 1 / (end - start), middle - start, end - middle
        spread = math.sqrt(left * right * scale)
        first = left * whole * scale + spread * self._normal(seeds.generate_state(4))
        self._known[2 * key, depth + 1] = first
        self._known[2 * key + 1, depth + 1] = whole - first

    def _normal(self, state: np.ndarray) -> Tensor:
        return open_stream(self._source, int(state[0]), self._device)(self._shape)


class ImageBrownian:
    """Unit-variance Brownian noise (B, C, H, W) between two sigmas.

    It has one tree per image, from the image's seed, over [sigma_min, sigma_max], the range of the
    whole schedule (img2img may use a part). The sign is as in A1111 for falling sigmas.
    """

    def __init__(
        self,
        shape: Shape,
        seeds: Sequence[int],
        sigma_min: float,
        sigma_max: float,
        *,
        source: RandnSource = "GPU",
        device: torch.device = CPU,
    ) -> None:
        self._trees = [
            BrownianTree(sigma_min, sigma_max, shape, int(seed), source=source, device=device)
            for seed in seeds
        ]

    def __call__(self, sigma_from: Tensor, sigma_to: Tensor) -> Tensor:
        low, high = sorted((float(sigma_from), float(sigma_to)))
        path = torch.stack([tree.increment(low, high) for tree in self._trees])
        sign = -1 if sigma_from > sigma_to else 1
        return sign * path / sqrt((sigma_to - sigma_from).abs())


class BatchBrownian:
    """`ImageBrownian` with one tree for the whole batch (option no_dpmpp_sde_batch_determinism).

    Pictures then depend on their batch. The tree's entropy is drawn from `generator`, in place of
    A1111's global one.
    """

    def __init__(
        self,
        shape: Shape,
        generator: torch.Generator,
        sigma_min: float,
        sigma_max: float,
        *,
        source: RandnSource = "GPU",
        device: torch.device = CPU,
    ) -> None:
        entropy = int(torch.randint(0, 2**63 - 1, (), generator=generator))
        self._one = ImageBrownian(
            shape, [entropy], sigma_min, sigma_max, source=source, device=device
        )

    def __call__(self, sigma_from: Tensor, sigma_to: Tensor) -> Tensor:
        return self._one(sigma_from, sigma_to).squeeze(0)
