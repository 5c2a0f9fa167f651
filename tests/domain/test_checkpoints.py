import hashlib

import pytest

from hexfusion.domain.checkpoints import Checkpoint, find, find_closest, natural_key

SHA = hashlib.sha256(b"x").hexdigest()


def checkpoint(name: str, sha256: str | None = None, legacy_hash: str = "11112222") -> Checkpoint:
    return Checkpoint(name=name, filename=f"/models/{name}", sha256=sha256, legacy_hash=legacy_hash)


def test_names_before_and_after_hashing():
    """Spec networks.md 1.2, table of names."""
    before = checkpoint("sub/dir.v2/my.model.safetensors")
    assert before.model_name == "sub_dir.v2_my.model"
    assert before.name_for_extra == "my.model"
    assert before.shorthash is None
    assert before.title == "sub/dir.v2/my.model.safetensors"
    assert before.short_title == "my.model"
    after = checkpoint("sub/dir.v2/my.model.safetensors", SHA)
    assert after.shorthash == SHA[:10]
    assert after.title == f"sub/dir.v2/my.model.safetensors [{SHA[:10]}]"
    assert after.short_title == f"my.model [{SHA[:10]}]"


@pytest.mark.parametrize(
    "alias",
    [
        "11112222", "sub_a", "sub/a.ckpt", "a", "sub/a.ckpt [11112222]", SHA[:10], SHA,
        f"sub/a.ckpt [{SHA[:10]}]", f"a [{SHA[:10]}]",
    ],
)  # fmt: skip
def test_every_alias_names_it(alias):
    """Spec networks.md 1.2, aliases."""
    wanted = checkpoint("sub/a.ckpt", SHA)
    assert find([wanted, checkpoint("b.ckpt", legacy_hash="33334444")], alias) == wanted


@pytest.mark.parametrize("other", ["", "A", "sub/A.ckpt", "sub/a", SHA[:9], "a.ckpt"])
def test_anything_else_does_not(other):
    """Spec networks.md 1.2: exactly, case-sensitively."""
    assert find([checkpoint("sub/a.ckpt", SHA)], other) is None


def test_hash_aliases_need_a_hash():
    assert find([checkpoint("a.ckpt")], SHA) is None


def test_the_later_of_two_wins():
    """Spec networks.md 1.2: later-registered files win on collisions."""
    later = checkpoint("y/a.ckpt")
    assert find([checkpoint("x/a.ckpt"), later], "a") == later


def test_the_closest_title():
    """Spec networks.md 1.2: refiner and hires checkpoint."""
    long, short = checkpoint("my-refiner-v10.ckpt"), checkpoint("my-refiner.ckpt", SHA)
    both = [long, short]
    assert find_closest(both, "my-refiner") == short
    assert find_closest(both, "refiner-v1") == long
    assert find_closest(both, "refiner-v10.ckpt [0123456789]") == long
    assert find_closest(both, "refiner") == long  # the shortest title, its hash included
    assert find_closest(both, "nothing") is None
    assert find_closest(both, "") is None
    assert find_closest(both, " [0123456789]") is None


def test_natural_order():
    """Spec networks.md 1.1: case-insensitive, digit runs as numbers."""
    ordered = ["1", "2a", "10", "A1", "a2", "a02b", "A10", "b"]
    assert sorted(reversed(ordered), key=natural_key) == ordered
