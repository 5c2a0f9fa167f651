"""ToMe, Bolya & Hoffman 2023. Spec sampling.md 7; recorded as options/tome (test_fidelity)."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from hexfusion.adapters.gpu.torch_backend.patches.tweaks.token_merging import match

pytestmark = pytest.mark.torch


def normals(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def merged_one_by_one(tokens, height, width, ratio):
    """The same for one row (n, channels), in plain words. Returns (merged set, unmerged)."""
    tops = [
        y * width + x
        for y in range(0, height // 2 * 2, 2)
        for x in range(0, width // 2 * 2, 2)
    ]  # fmt: skip
    others = [i for i in range(height * width) if i not in tops]
    nearest = {
        i: max((cosine_similarity(tokens[i], tokens[top], dim=0).item(), -top) for top in tops)
        for i in others
    }
    order = sorted(others, key=lambda i: -nearest[i][0])
    gone = order[: int(height * width * ratio)]
    groups = {top: [top] + [i for i in gone if -nearest[i][1] == top] for top in tops}
    means = {top: tokens[group].mean(0) for top, group in groups.items()}
    back = tokens.clone()
    for top, group in groups.items():
        back[group] = means[top]
    rest = [tokens[i] for i in others if i not in gone]
    return torch.stack(rest + list(means.values())), back


@pytest.mark.parametrize(
    ("height", "width", "ratio"), [(4, 4, 0.5), (4, 6, 0.3), (5, 7, 0.5), (6, 4, 0.9), (2, 2, 0.25)]
)
def test_the_most_alike_are_averaged_and_copied_back(height, width, ratio):
    tokens = normals(3, height * width, 5)
    matching = match(tokens, (height, width), ratio)
    merged = matching.merge(tokens)
    back = matching.unmerge(merged)
    for row in range(3):
        fewer, expected = merged_one_by_one(tokens[row], height, width, ratio)
        assert len(merged[row]) == len(fewer)
        torch.testing.assert_close(merged[row].sort(0).values, fewer.sort(0).values)
        torch.testing.assert_close(back[row], expected)


def test_three_quarters_at_most():
    """Destinations stay, whatever the ratio."""
    tokens = normals(1, 64, 3)
    assert match(tokens, (8, 8), 0.9).merge(tokens).shape == (1, 16, 3)
    assert match(tokens, (8, 8), 1.0).merge(tokens).shape == (1, 16, 3)


@pytest.mark.parametrize(("grid", "ratio"), [((4, 4), 0.06), ((1, 16), 0.5), ((4, 4), 0.0)])
def test_nothing_to_merge(grid, ratio):
    """Less than one token, or no whole cell."""
    assert match(normals(1, 16, 3), grid, ratio) is None


def test_a_row_does_not_depend_on_its_neighbours():
    tokens = normals(2, 64, 4)
    together = match(tokens, (8, 8), 0.5).merge(tokens)
    alone = match(tokens[1:], (8, 8), 0.5).merge(tokens[1:])
    assert torch.equal(together[1:], alone)


def test_the_merging_of_one_tensor_serves_another():
    """Tokens are compared as they enter the block; what is merged has been normalised since."""
    tokens, normed = normals(1, 16, 4), normals(1, 16, 4, seed=1)
    matching = match(tokens, (4, 4), 0.5)
    back = matching.unmerge(matching.merge(normed))
    _, by_itself = merged_one_by_one(normed[0], 4, 4, 0.5)
    assert not torch.allclose(back[0], by_itself)
    same = (back[0] == normed[0]).all(-1)
    assert 0 < same.sum() < 16
