"""Pictures as clients send them (spec api.md 7.1, images.md 10)."""

import io
import struct
import zlib

import pytest
from PIL import Image

from hexfusion.application.pictures.picture_files import encode_picture
from hexfusion.application.pictures.receiving import Received, in_colour, receive, receive_all
from hexfusion.domain.errors import InvalidRequest


def encoded(image, format="PNG", **how):
    file = io.BytesIO()
    image.save(file, format, **how)
    return file.getvalue()


def test_the_way_up_it_is_meant_to_be_seen():
    image = Image.new("RGB", (16, 8), "red")
    image.paste("blue", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right by a quarter
    upright = receive(encoded(image, exif=exif))
    assert upright.size == (8, 16)
    assert upright.getpixel((4, 4)) == (0, 0, 255)
    assert upright.getpixel((4, 12)) == (255, 0, 0)


def test_a_transparent_palette_is_an_alpha_channel():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    received = receive(encoded(image, transparency=b"\xff\x40"))
    assert received.mode == "RGBA"
    assert received.getpixel((0, 0)) == (0, 255, 0, 0x40)


def test_what_it_tells_of_itself_stays():
    image = Image.new("RGB", (8, 8))
    image.info = {"parameters": "a dot\nSteps: 2", "Software": "x", "dpi": (72, 72)}
    assert receive(encode_picture(image, "png")).info == {
        "parameters": "a dot\nSteps: 2",
        "Software": "x",
    }
    jpeg = encode_picture(image, "jpeg", "a dot\nSteps: 2")
    assert receive(jpeg).info == {"parameters": "a dot\nSteps: 2"}


PNG = encoded(Image.effect_noise((64, 64), 50))


@pytest.mark.parametrize("data", [b"", b"GIF89a", PNG[:-200], PNG[:30], b"\x89PNG" + PNG[5:]])
def test_what_is_no_picture_names_the_field(data):
    with pytest.raises(InvalidRequest) as caught:
        receive(data, "imageList")
    assert caught.value.field == "imageList"


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I", "I;16", "F", "YCbCr"]
)
def test_every_mode_is_brought_to_colour(mode):
    assert in_colour(Image.new(mode, (4, 4))).mode == ("RGBA" if mode == "RGBA" else "RGB")


def test_sixteen_bits_keep_their_upper_eight():
    assert in_colour(Image.new("I;16", (4, 4), 0xC0FF)).getpixel((0, 0)) == (0xC0, 0xC0, 0xC0)


@pytest.mark.parametrize("exif", [bytes(range(256)), b"", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_pixels_count_though_their_exif_is_none(exif):
    image = Image.new("RGB", (16, 8), "red")
    received = receive(encoded(image, "WEBP", exif=exif or b"\0", lossless=True))
    assert received.size == (16, 8)
    assert received.getpixel((0, 0)) == (255, 0, 0)


def test_a_text_behind_the_pixels_is_read_without_decoding_them_twice():
    plain = encoded(Image.new("RGB", (8, 8)))
    content = b"tEXtparameters\0a dot"
    told = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    assert receive(plain[:-12] + told + plain[-12:]).info == {"parameters": "a dot"}


def test_an_image_of_a_python_callers_is_read_as_its_file_would_be(tmp_path):
    """Opened from a file or made: upright, its text at hand, and the caller's own left alone."""
    image = Image.new("RGB", (16, 8), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "photo.png").write_bytes(encoded(image, exif=exif))
    opened = Image.open(tmp_path / "photo.png")
    assert receive(opened).size == (8, 16)
    assert opened.size == (16, 8)
    described = Image.open(io.BytesIO(encode_picture(image, "jpeg", "a cat\nSteps: 1")))
    assert receive(described).info["parameters"] == "a cat\nSteps: 1"
    (received,) = receive_all([image], "image")
    plain = received.decode()
    plain.putpixel((0, 0), (0, 0, 0))
    assert image.getpixel((0, 0)) == (255, 0, 0)


def test_an_image_has_the_bounds_of_a_file(tmp_path):
    with pytest.raises(InvalidRequest, match=r"^image: a picture may have 1 to \d+ pixels, not 0x"):
        receive(Image.new("RGB", (0, 4)))
    with pytest.raises(InvalidRequest, match=r"^image: a picture may have 1 to"):
        receive(Image.new("1", (2**15, 2**12)))


def test_an_image_whose_file_is_cut_short():
    half = Image.open(io.BytesIO(encoded(Image.effect_noise((64, 64), 100))[:2000]))
    with pytest.raises(InvalidRequest, match="Invalid encoded image"):
        receive(half)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "LAB", "HSV", "I", "F"]
)
def test_an_image_of_any_mode_can_be_worked_on(mode):
    assert in_colour(receive(Image.new(mode, (8, 8)))).mode in ("RGB", "RGBA")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_header_tells_the_size_that_the_pixels_will_have(format, orientation):
    """Spec api.md 7.1: scripts and limits count on it before anything is decoded."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    received = Received(encoded(Image.new("RGB", (16, 8), "red"), format, exif=exif))
    turned = orientation in (5, 6, 7, 8)
    assert received.size == ((8, 16) if turned else (16, 8)) == received.decode().size


def test_an_orientation_behind_the_pixels_counts():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    plain = encoded(Image.new("RGB", (16, 8)))
    received = Received(plain[:-12] + chunk + plain[-12:])
    assert received.size == received.decode().size == (8, 16)


def test_pixels_are_not_decoded_before_they_are_asked_for():
    """Of a file that is cut short the header says nothing wrong."""
    received = Received(PNG[:-200], "mask")
    assert (received.size, received.pixels) == ((64, 64), 4096)
    with pytest.raises(InvalidRequest, match=r"^mask: Invalid encoded image"):
        received.decode()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF"])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_decoded_picture_does_not_hold_its_file(format, frames):
    """Nor a decoder, which may take as much again. A PNG has a reference to bytes that are there
    anyway."""
    more = [Image.new("RGB", (16, 8), "blue")] * (frames - 1)
    how = {"save_all": True, "append_images": more} if more else {}
    if more and format in ("JPEG", "BMP"):
        pytest.skip("these do not move")
    data = encoded(Image.effect_noise((16, 8), 50).convert("RGB"), format, **how)
    image = Received(data).decode()
    held = [each for each in vars(image).values() if isinstance(each, io.IOBase)]
    assert not held or (format, frames) == ("PNG", 1)
    assert getattr(image, "fp", None) is None
    assert image.size == (16, 8)


@pytest.mark.parametrize("format", ["BMP", "GIF", "ICO", "PPM", "TGA"])
@pytest.mark.parametrize("size", [(16, 8), (8, 16), (300, 200)])
def test_formats_without_orientation_tell_their_size_too(format, size):
    received = Received(encoded(Image.new("RGB", size, "red"), format))
    assert received.size == received.decode().size
