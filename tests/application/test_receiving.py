"""Pictures as clients send them (spec api.md 7.1, images.md 10)."""

import io

import pytest
from PIL import Image

from application.pictures import encode_picture
from application.receiving import in_colour, receive
from domain.errors import InvalidRequest


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
