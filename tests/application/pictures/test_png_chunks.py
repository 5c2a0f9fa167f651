"""PNGs without their pixels tell what they told with them."""

import io
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hexfusion.application.pictures.picture_files import (
    infotext_so_far,
    open_picture,
    read_infotext,
)
from hexfusion.application.pictures.png_chunks import without_pixels


def png(texts: dict[str, str], *, side: int = 8, packed: bool = False, mode: str = "RGBA") -> bytes:
    chunks, file = PngInfo(), io.BytesIO()
    for key, text in texts.items():
        chunks.add_text(key, text, zip=packed)
    Image.new(mode, (side, side)).save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def behind_the_pixels(data: bytes) -> bytes:
    """The same picture, its texts at the end."""
    first, pixels, end = data.index(b"IHDR") + 21, data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    return data[:first] + data[pixels:end] + data[first:pixels] + data[end:]


KEY = st.text("abcXYZ", min_size=1, max_size=8)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@settings(max_examples=60)
@given(st.dictionaries(KEY, TEXT, max_size=4), st.booleans(), st.booleans())
def test_all_is_told_wherever_it_stands(texts: dict[str, str], packed: bool, behind: bool) -> None:
    data = png(texts | {"parameters": "a cat"}, packed=packed)
    told = open_picture(without_pixels(behind_the_pixels(data) if behind else data))
    whole = open_picture(data)
    assert infotext_so_far(told) == read_infotext(whole) == "a cat"
    assert {**told.info} == {**whole.info}
    assert (told.size, told.mode, told.format) == (whole.size, whole.mode, "PNG")


def test_exif_is_told_from_behind_too() -> None:
    exif = Image.Exif()
    exif[0x9286] = b"ASCII\0\0\0from exif"
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG", exif=exif)
    told = open_picture(without_pixels(behind_the_pixels(file.getvalue())))
    assert told.getexif() == Image.open(io.BytesIO(file.getvalue())).getexif()


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG", b"no picture"])
def test_other_files_stay_as_they_are(data: bytes) -> None:
    assert without_pixels(data) == data


def test_whole_chunks_of_a_file_cut_short_are_kept() -> None:
    data = png({"parameters": "a cat", "other": "x" * 100})
    for end in range(8, len(data)):
        kept = without_pixels(data[:end])
        assert len(kept) <= len(data)
        if end > data.index(b"other"):
            assert b"a cat" in kept


def test_a_chunk_that_claims_gigabytes_ends_it() -> None:
    data = png({})
    assert len(without_pixels(data[:33] + b"\xff\xff\xff\xfftEXt" + data[33:])) < 100


def test_sums_are_right_again() -> None:
    """Readers look at those before the pixels alone."""
    data = behind_the_pixels(png({"parameters": "a cat"}))
    broken = data.replace(zlib.crc32(b"tEXtparameters\0a cat").to_bytes(4, "big"), b"\0\0\0\0")
    assert broken != data
    assert infotext_so_far(open_picture(without_pixels(broken))) == "a cat"


PROGRAM = """
import resource, sys
from hexfusion.application.describing.picture_info import ReadPictureInfo
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
read = ReadPictureInfo(MemoryOptions(), styles=lambda: ())
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert read(data).info == "a cat"
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_what_a_picture_tells_costs_no_more_memory_than_the_file() -> None:
    """A quarter of a megabyte with 67 million pixels: decoded they take 256 MiB."""
    data = png({"parameters": "a cat"}, side=8192)
    assert len(data) < 300_000
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=behind_the_pixels(data), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50  # MiB
