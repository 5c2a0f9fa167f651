"""What a finished picture of inpainting has besides itself. Source: spec images.md 7.2."""

from PIL import Image

from hexfusion.application.inpainting.finishing import FinishedPicture, PictureFinisher

RED, BLUE = Image.new("RGB", (4, 2), "red"), Image.new("RGB", (4, 2), "blue")
MASK = Image.new("L", (4, 2))
MASK.paste(255, (0, 0, 2, 2))


def test_the_mask_and_the_masked_part_are_made_when_they_are_asked_for():
    made = PictureFinisher(RED, MASK)(BLUE)
    assert (made.shape, made.bare) == (MASK, BLUE)
    assert made.mask.mode == "RGB"
    assert [made.mask.getpixel((x, 0)) for x in (0, 3)] == [(255, 255, 255), (0, 0, 0)]
    assert [made.masked.getpixel((x, 0)) for x in (0, 3)] == [(0, 0, 255, 255), (0, 0, 0, 0)]


def test_without_a_mask_there_is_neither():
    for made in (FinishedPicture(RED), PictureFinisher(RED)(BLUE)):
        assert (made.mask, made.masked) == (None, None)
