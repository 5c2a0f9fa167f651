"""What pictures tell of themselves: spec prompts.md 8.4, api.md 12.2."""

import io
import json
import struct
import time
import zlib

import msgspec
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.describing.picture_info import ReadPictureInfo
from hexfusion.application.pictures.picture_files import encode_picture
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.prompts import Style, parse_styles

LINE = "Steps: 5, Sampler: Euler, Seed: 3"


def reader(styles=(), loras=(), **stored):
    options = MemoryOptions()
    options.update(stored)
    return ReadPictureInfo(
        options, styles=lambda: styles, lora_named=lambda digest, _: dict(loras).get(digest)
    )


def told(data, **how):
    """What is told of these bytes; it must fit into JSON."""
    result = reader(**how)(data)
    msgspec.json.encode(result)
    return result


def png(size=(2, 2), mode="RGB", **texts):
    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    file = io.BytesIO()
    PIL.Image.new(mode, size).save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def saved(format, mode="RGB", **how):
    file = io.BytesIO()
    PIL.Image.new(mode, (2, 2)).save(file, format, **how)
    return file.getvalue()


@pytest.mark.parametrize("section", ["rest", "formats"])
def test_as_recorded(shared, section):
    folder = shared / "golden"
    styles = parse_styles((folder / "data/styles.csv").read_text(encoding="utf-8-sig"))
    compared = 0
    for path in sorted((folder / section).glob("pnginfo_*.json")):
        recording = json.loads(path.read_text())
        image = recording["request"]["json"].get("image")
        if isinstance(image, dict) and recording.get("status") == 200:
            got = told((folder / image["$b64"]).read_bytes(), styles=styles)
            assert msgspec.to_builtins(got) == recording["body"], path
            assert list(got.parameters) == list(recording["body"]["parameters"]), path
            compared += 1
    assert compared >= 2


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_infotext_items_and_parameters(format):
    got = told(encode_picture(PIL.Image.new("RGB", (8, 8)), format, f"é cat\n{LINE}"))
    assert got.info == f"é cat\n{LINE}"
    assert got.items == {}
    assert (got.parameters["Prompt"], got.parameters["Seed"]) == ("é cat", "3")
    assert got.parameters["Clip skip"] == "1"


def test_without_infotext_there_are_the_defaults():
    got = told(png())
    assert (got.info, got.items, got.parameters["Prompt"]) == ("", {}, "")
    assert got.parameters["Hires sampler"] == "Use same sampler"


def test_other_metadata_is_told_as_json():
    got = told(png(parameters="p", postprocessing="Postprocess upscale by: 2", Author="é ž"))
    assert got.items == {"postprocessing": "Postprocess upscale by: 2", "Author": "é ž"}
    file = io.BytesIO()
    PIL.Image.new("RGB", (2, 2)).save(file, "PNG", transparency=(1, 2, 3), dpi=(72, 72))
    assert told(file.getvalue()).items == {"transparency": [1, 2, 3]}


def test_a_palette_with_alpha_becomes_an_alpha_channel():
    """Spec api.md 7.1."""
    file = io.BytesIO()
    PIL.Image.linear_gradient("L").convert("P").save(file, "PNG", transparency=b"\0\x80")
    assert told(file.getvalue()).items == {}


def test_a_comment_is_the_infotext_and_stays_an_item():
    """Spec prompts.md 8.4, steps 2 and 4."""
    for format in ("GIF", "JPEG"):
        got = told(saved(format, "L", comment=f"cat\n{LINE}".encode()))
        assert got.info == f"cat\n{LINE}"
        assert got.items["comment"] == f"cat\n{LINE}"


def test_bytes_that_are_no_text_do_no_harm():
    """A1111 answers 500."""
    assert told(saved("JPEG", comment=b"a\xff")).items["comment"] == "a\ufffd"


def test_half_a_surrogate_pair_does_no_harm():
    got = told(png(parameters=f'p\n{LINE}, Note: "a\\ud800b"'))
    assert got.parameters["Note"] == "a?b"


def test_text_behind_the_pixels_counts_and_a_picture_cut_short_keeps_its_own():
    whole = png(parameters=f"cat\n{LINE}")
    text = whole.index(b"tEXt") - 4
    data, end = whole.index(b"IDAT") - 4, whole.index(b"IEND") - 4
    moved = whole[:text] + whole[data:end] + whole[text:data] + whole[end:]
    assert told(moved).info == f"cat\n{LINE}"
    assert told(whole[: data + 10]).info == f"cat\n{LINE}"


NOVELAI = {
    "Software": "NovelAI",
    "Description": "a fox",
    "Comment": json.dumps(
        {"steps": 28, "sampler": "k_euler_ancestral", "scale": 11.0, "seed": 7, "uc": "bad, {x}"}
    ),
}


def test_novelai_is_translated():
    """Spec prompts.md 8.4, step 4."""
    got = told(png((4, 6), **NOVELAI))
    assert got.info == (
        "a fox\nNegative prompt: bad, {x}\nSteps: 28, Sampler: Euler a, CFG scale: 11.0, Seed: 7, "
        "Size: 4x6, Clip skip: 2, ENSD: 31337"
    )
    assert got.items == NOVELAI
    assert (got.parameters["Prompt"], got.parameters["ENSD"]) == ("a fox", "31337")


def test_a_sampler_of_novelai_that_is_not_here_is_euler_a():
    comment = NOVELAI["Comment"].replace("k_euler_ancestral", "nai_smea")
    assert told(png(**NOVELAI | {"Comment": comment})).parameters["Sampler"] == "Euler a"


@pytest.mark.parametrize("comment", ["{", "[]", "{}", "null", "[" * 50_000])
def test_what_looks_like_novelai_and_is_not_is_left_alone(comment):
    got = told(png(**NOVELAI | {"Comment": comment}, parameters="mine"))
    assert (got.info, got.items["Comment"]) == ("mine", comment)


def test_loras_get_the_names_they_have_here():
    """Spec prompts.md 8.5, import hooks; they do not touch the infotext itself."""
    text = (
        f'<lora:theirs:0.5> cat\n{LINE}, Lora hashes: "theirs: 0123456789ab", '
        "AddNet Module 1: LoRA, AddNet Model 1: ink(00ff)"
    )
    got = told(png(parameters=text), loras={"0123456789ab": "ours"})
    assert got.parameters["Prompt"] == "<lora:ours:0.5> cat\n<lora:ink(00ff):1.0>"
    assert got.info == text


def test_styles_are_recognised_and_options_heeded():
    data = png(parameters=f"cat, neon\n{LINE}")
    got = told(data, styles=[Style("Neon", "neon", "")])
    assert (got.parameters["Prompt"], got.parameters["Styles array"]) == ("cat", ["Neon"])
    assert "Prompt" not in told(data, infotext_skip_pasting=["Prompt"]).parameters


@pytest.mark.parametrize("data", [b"", b"hello world", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(InvalidRequest) as caught:
        told(data)
    assert caught.value.field == "image"


@pytest.mark.parametrize("side", [8200, 60_000, 2**31 - 1])
def test_a_picture_that_claims_billions_of_pixels_is_refused_at_once(side):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + (
        chunk(b"IEND", b"")
    )  # fmt: skip
    started = time.perf_counter()
    with pytest.raises(InvalidRequest, match="a picture may have"):
        told(bomb)
    assert time.perf_counter() - started < 1


def test_a_text_that_inflates_to_gigabytes_is_refused():
    file = io.BytesIO()
    chunks = PngInfo()
    chunks.add_text("parameters", "a" * 50_000_000, zip=True)
    PIL.Image.new("L", (1, 1)).save(file, "PNG", pnginfo=chunks)
    with pytest.raises(InvalidRequest):
        told(file.getvalue())


PICTURES = [
    png(parameters=f"cat\n{LINE}", **NOVELAI),
    *(encode_picture(PIL.Image.new("RGB", (8, 8)), kind, f"c\n{LINE}") for kind in ("jpg", "webp")),
    saved("GIF", "P", comment=b"hello"),
    saved("TIFF"),
    saved("BMP"),
]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(PICTURES),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4)), min_size=1, max_size=4),
    st.floats(0.2, 1),
)
def test_mutilated_pictures_are_read_or_refused(data, spots, keep):
    """Nothing else ever happens."""
    mutilated = bytearray(data)
    for place, noise in spots:
        at = int(place * len(mutilated))
        mutilated[at : at + len(noise)] = noise
    try:
        told(bytes(mutilated[: int(keep * len(mutilated))]))
    except InvalidRequest as error:
        assert error.field == "image"
