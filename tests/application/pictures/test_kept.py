"""Pictures that are kept in a spool come back as they were, in every mode."""

import random

import pytest
from PIL import Image

from hexfusion.adapters.storage.results.spool_memory import MemorySpool
from hexfusion.application.pictures import kept
from hexfusion.application.pictures.kept import Fetched, InMemory, PictureKeeper, Spooled, keeping
from hexfusion.application.ports.spool import SpoolError

SIZE = (61, 47)


def noise(mode: str, size=SIZE) -> Image.Image:
    """A picture of that mode with every byte drawn."""
    draw = random.Random(7)
    width, height = size
    if mode in ("P", "PA"):
        return noise("RGB", size).quantize(100).convert(mode)
    if mode == "F":
        return Image.effect_noise(size, 50).convert("F")
    if mode in ("1", "YCbCr", "CMYK"):
        return noise("RGB", size).convert(mode)
    depth = {"I": 4, "I;16": 2}.get(mode) or len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, size, draw.randbytes(width * height * depth))


MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F")


@pytest.mark.parametrize("strip", [1, 1000, 1 << 20])
@pytest.mark.parametrize("mode", MODES)
def test_a_picture_comes_back_as_it_was(mode, strip, monkeypatch):
    monkeypatch.setattr(kept, "STRIP", strip)
    spool = MemorySpool()
    spool.append([b"what was there before"])
    pictures = [noise(mode), noise(mode, (3, 200))]
    for picture in pictures:
        picture.info["parameters"] = "a cat"
    there = [Spooled(picture, spool) for picture in pictures]
    for picture, each in zip(pictures, there, strict=True):
        back = each.image()
        assert (back.mode, back.size, back.info) == (picture.mode, picture.size, picture.info)
        assert back.tobytes() == picture.tobytes()
        assert back.getpalette() == picture.getpalette()
        assert each.size == picture.size
        assert each.image() is not back


def test_noise_fills_the_picture():
    assert len(set(noise("RGB").tobytes())) == 256


def test_the_first_stay_in_memory_and_the_others_go_to_the_spool():
    pictures = [Image.new("RGB", (64, 64), (number, 0, 0)) for number in range(4)]
    keeper = PictureKeeper(MemorySpool(), memory=2 * 64 * 64 * 4)
    there = [keeper.keep(each) for each in pictures]
    assert [type(each) for each in there] == [InMemory, InMemory, Spooled, Spooled]
    assert [each.image() is picture for each, picture in zip(there, pictures, strict=True)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert [each.image().getpixel((5, 5)) for each in there] == [(n, 0, 0) for n in range(4)]


def test_a_small_one_still_finds_room_in_memory_after_a_large_one():
    keeper = PictureKeeper(MemorySpool(), memory=64 * 64 * 4)
    sizes = [(65, 64), (64, 32), (64, 32), (64, 1)]
    there = [keeper.keep(Image.new("RGB", size)) for size in sizes]
    assert [type(each) for each in there] == [Spooled, InMemory, InMemory, Spooled]


def test_without_a_spool_everything_stays():
    keeper = PictureKeeper(memory=0)
    picture = Image.new("RGB", (8, 8))
    assert keeper.keep(picture).image() is picture


def test_a_job_that_fails_gives_up_what_it_kept():
    keeper = PictureKeeper(MemorySpool(), memory=0)
    with pytest.raises(ZeroDivisionError), keeping(keeper):
        there = keeper.keep(Image.new("RGB", (8, 8)))
        raise ZeroDivisionError
    with pytest.raises(SpoolError, match="given up"):
        there.image()


def test_one_that_does_not_fail_does_not():
    with keeping(PictureKeeper(MemorySpool(), memory=0)) as keeper:
        there = keeper.keep(Image.new("RGB", (8, 8), "red"))
    assert there.image().getpixel((0, 0)) == (255, 0, 0)


def test_a_sequence_of_them_fetches_one_at_a_time():
    keeper = PictureKeeper(MemorySpool(), memory=0)
    there = Fetched([keeper.keep(Image.new("L", (8, 2 + n), n)) for n in range(3)])
    assert (len(there), there.cell) == (3, (8, 4))
    assert [each.getpixel((0, 0)) for each in there] == [0, 1, 2]
    assert there[-1].size == (8, 4)
    assert [each.height for each in there[1:]] == [3, 4]
    assert Fetched([]).cell == (0, 0)
