import io
import struct
from concurrent.futures import ThreadPoolExecutor

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageChops, ImageStat

from hexfusion.application.pictures.picture_files import (
    encode_picture,
    fits,
    picture_format,
    read_infotext,
)
from hexfusion.domain.errors import InvalidRequest

FORMATS = ("png", "jpeg", "webp")
INFOTEXT = 'a cat, 50% "off"\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 1'
NON_LATIN = "červený kruh 红色 🔴\nSteps: 20"


def opened(data):
    return PIL.Image.open(io.BytesIO(data))


@pytest.fixture
def picture():
    image = PIL.Image.linear_gradient("L").resize((40, 24))
    return PIL.Image.merge("RGB", (image, image.rotate(180), image.rotate(90)))


def png_chunks(data):
    """(type, content) of every chunk but the pixels."""
    at, chunks = 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind != b"IDAT":
            chunks.append((kind, content))
        at += 12 + length
    return chunks


def exif_of(data):
    """The EXIF block as it lies in the file, without JPEG's prefix."""
    return opened(data).info["exif"].removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("infotext", [INFOTEXT, NON_LATIN])
def test_infotext_comes_back(picture, format, infotext):
    assert read_infotext(opened(encode_picture(picture, format, infotext))) == infotext


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=25)
@given(text=texts)
def test_any_infotext_comes_back(format, text):
    data = encode_picture(PIL.Image.new("RGB", (2, 2)), format, text)
    assert (read_infotext(opened(data)) or "") == text


@pytest.mark.parametrize("format", FORMATS)
def test_half_a_surrogate_pair_does_not_lose_the_picture(picture, format):
    assert read_infotext(opened(encode_picture(picture, format, "a\ud83db"))) == "a?b"


def test_png_text_is_latin_1_where_it_can_be(picture):
    """Spec prompts.md 8.3."""
    kinds = [kind for kind, _ in png_chunks(encode_picture(picture, "png", INFOTEXT))]
    assert kinds == [b"IHDR", b"tEXt", b"IEND"]
    kinds = [kind for kind, _ in png_chunks(encode_picture(picture, "png", NON_LATIN))]
    assert kinds == [b"IHDR", b"iTXt", b"IEND"]


def test_png_keeps_the_other_texts_of_the_picture(picture):
    """Spec api.md 7.2: extras add `postprocessing` beside the source's `parameters`."""
    picture.info.update(parameters="old", postprocessing="done", dpi=(72, 72))
    assert opened(encode_picture(picture, "png")).info.items() >= {
        ("parameters", "old"),
        ("postprocessing", "done"),
    }
    assert opened(encode_picture(picture, "png", "new")).info["parameters"] == "new"
    assert opened(encode_picture(picture, "jpeg")).info["exif"].endswith("old".encode("utf-16-be"))


@pytest.mark.parametrize("format", FORMATS)
def test_without_embed_there_is_no_text(picture, format):
    """Spec api.md 7.2: option enable_pnginfo; JPEG and WebP then have an empty comment."""
    picture.info["postprocessing"] = "done"
    data = encode_picture(picture, format, INFOTEXT, embed=False)
    assert read_infotext(opened(data)) is None
    if format == "png":
        assert [kind for kind, _ in png_chunks(data)] == [b"IHDR", b"IEND"]
    else:
        assert exif_of(data).endswith(b"UNICODE\0")


def test_a_jpeg_holds_as_much_infotext_as_fits(picture):
    text = "🔴" * 40_000
    kept = read_infotext(opened(encode_picture(picture, "jpeg", text)))
    assert set(kept) == {"🔴"}  # cut between two characters
    assert len(kept) == 16369
    assert read_infotext(opened(encode_picture(picture, "jpeg", "a" * 40_000))) == "a" * 32739
    assert read_infotext(opened(encode_picture(picture, "webp", text))) == text


def test_png_and_lossless_webp_keep_every_pixel(picture):
    for data in (encode_picture(picture, "png"), encode_picture(picture, "webp", lossless=True)):
        assert opened(data).convert("RGB").tobytes() == picture.tobytes()


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_quality_is_heeded(picture, format):
    def error(quality):
        shown = opened(encode_picture(picture, format, quality=quality)).convert("RGB")
        return sum(ImageStat.Stat(ImageChops.difference(shown, picture)).mean)

    assert error(95) < error(10)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "I", "I;16"])
@pytest.mark.parametrize("format", FORMATS)
def test_pictures_of_every_mode_are_encoded(mode, format):
    """Spec api.md 7.2: RGBA and P become RGB for JPEG and WebP."""
    shown = opened(encode_picture(PIL.Image.new(mode, (8, 8)), format, INFOTEXT))
    assert shown.size == (8, 8)
    if format == "png":
        assert shown.mode == {"CMYK": "RGB", "F": "RGB", "I": "I;16"}.get(mode, mode)
    else:
        assert shown.mode in ("L", "RGB")


@pytest.mark.parametrize(
    ("grey", "shown"), [(0, 0), (255, 0), (256, 1), (32768, 128), (65535, 255)]
)
def test_sixteen_bit_grey_is_scaled(grey, shown):
    """Spec prompts.md 9.2 item 9."""
    data = encode_picture(PIL.Image.new("I;16", (8, 8), grey), "jpeg", quality=100)
    assert opened(data).getpixel((4, 4)) == shown


@pytest.mark.parametrize("format", FORMATS)
def test_one_picture_may_be_encoded_by_many_threads(picture, format):
    with ThreadPoolExecutor(8) as pool:
        encoded = pool.map(lambda n: encode_picture(picture, format, str(n)), range(64))
        assert [read_infotext(opened(data)) for data in encoded] == [str(n) for n in range(64)]


def test_format_names():
    """Spec api.md 7.2."""
    names = ("png", "PNG", "jpg", "JPEG", "WebP")
    assert [picture_format(name) for name in names] == ["png", "png", "jpeg", "jpeg", "webp"]


@pytest.mark.parametrize("name", ["avif", "gif", "tiff", ""])
def test_other_formats_are_refused(picture, name):
    """Golden formats/t2i_tiff: 500 "Invalid image format"."""
    with pytest.raises(InvalidRequest, match="Invalid image format") as refused:
        encode_picture(picture, name, INFOTEXT)
    assert refused.value.field == "samples_format"


def test_a_picture_too_large_for_its_format_is_refused():
    """Spec prompts.md 9.2 item 1."""
    long = PIL.Image.new("L", (16384, 1))
    assert fits(long, "jpeg") and not fits(long, "webp")
    with pytest.raises(InvalidRequest, match="16383 pixels"):
        encode_picture(long, "webp")


def test_reading_prefers_exif_then_text_and_takes_comments():
    """Spec prompts.md 8.4."""
    image = PIL.Image.new("RGB", (2, 2))
    assert read_infotext(image) is None
    image.info["parameters"] = "text"
    assert read_infotext(image) == "text"
    image.info["comment"] = b"comm\xffent"
    assert read_infotext(image) == "comment"
    image.info["exif"] = opened(encode_picture(PIL.Image.new("L", (2, 2)), "jpeg", "")).info["exif"]
    assert read_infotext(image) == "text"  # an empty UserComment does not count


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"UNICODE\0" + "ž".encode("utf-16-be"), "ž"),
        (b"ASCII\0\0\0abc", "abc"),
        (b"JIS\0\0\0\0\0" + "日本".encode("shift_jis"), "日本"),
        ("no prefix \xe9".encode() + b"\xff", "no prefix é"),
    ],
)
def test_user_comments_of_every_encoding_are_read(comment, text):
    """Spec prompts.md 8.4 step 2."""
    exif = PIL.Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    file = io.BytesIO()
    PIL.Image.new("RGB", (2, 2)).save(file, "JPEG", exif=exif)
    assert read_infotext(opened(file.getvalue())) == text


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60)
@given(st.binary(max_size=60), st.integers(0, 45))
def test_broken_exif_is_as_good_as_none(noise, keep):
    whole = exif_of(encode_picture(PIL.Image.new("RGB", (2, 2)), "jpeg", "abc"))
    image = PIL.Image.new("RGB", (2, 2))
    image.info.update(exif=b"Exif\0\0" + whole[:keep] + noise, parameters="text")
    assert isinstance(read_infotext(image), str)


@pytest.mark.parametrize(
    "name",
    [
        "default/minimal_0.png",
        "prompts/unicode_0.png",
        "rest/ex_keeps_info.png",
        "options/nopnginfo_0.png",
    ],
)
def test_png_chunks_are_the_recorded_ones(shared, name):
    """Type, order and content of every chunk but the pixels."""
    recorded = (shared / "golden" / name).read_bytes()
    image = opened(recorded)
    infotext = read_infotext(image)
    ours = encode_picture(image, "png", infotext or INFOTEXT, embed=infotext is not None)
    assert png_chunks(ours) == png_chunks(recorded)
    assert opened(ours).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("formats/t2i_jpg_0.jpg", "jpg"),
        ("formats/extra_jpg.jpg", "jpg"),
        ("formats/t2i_webp_0.webp", "webp"),
        ("formats/extra_webp.webp", "webp"),
    ],
)
def test_exif_is_the_recorded_one_byte_for_byte(shared, name, format):
    recorded = (shared / "golden" / name).read_bytes()
    image = opened(recorded)
    ours = encode_picture(image.convert("RGB"), format, read_infotext(image))
    assert exif_of(ours) == exif_of(recorded)
    if format == "jpg":  # jpeg_quality 80, as recorded
        assert opened(ours).quantization == image.quantization


def test_infotext_is_read_as_the_recorded_server_reads_it(shared):
    """Golden formats/pnginfo_jpg: the picture goes to png-info, which answers with its text."""
    for name in ("t2i_jpg_0.jpg", "t2i_webp_0.webp"):
        image = PIL.Image.open(shared / "golden/formats" / name)
        assert read_infotext(image).startswith("a red circle on a blue background\nNegative prompt")
