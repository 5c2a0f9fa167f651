"""Replies are written picture by picture, byte for byte as the whole struct would be."""

import json
from base64 import b64encode
from dataclasses import replace

import msgspec
import pytest
from PIL import Image

from hexfusion.adapters.http.resources import extras, generation
from hexfusion.adapters.http.resources.generation import (
    ImageToImageResponse,
    TextToImageResponse,
    reply_chunks,
)
from hexfusion.adapters.http.wire import json_results
from hexfusion.adapters.http.wire.json_results import info_text, picture_text
from hexfusion.application.extras.extras import Extras
from hexfusion.application.pictures.picture_files import encode_picture
from hexfusion.application.results import Encoding, Picture
from hexfusion.domain.errors import ReplyTooLarge
from hexfusion.domain.generation import Txt2Img
from tests.application.scripts.scripted import made, of_picture
from tests.application.worlds import world

NOISE = Image.effect_noise((200, 100), 90).convert("RGB")


def result(**fields):
    request = Txt2Img(**{"prompt": 'a "cat"\n\u8a9e \U0001f600\x07', "steps": 1, **fields})
    made = world().txt2img(msgspec.structs.replace(request, width=64, height=64))
    return replace(made, pictures=(*made.pictures, Picture(NOISE, None)))


def whole(result, response) -> bytes:
    """The reply as it was encoded before: every picture, then the struct of all."""
    how = result.encoding
    images = [
        b64encode(encode_picture(each.image, how.format, each.infotext, how.quality, how.embed))
        for each in result.pictures
    ]
    sent = [each.decode() for each in images] if result.request.send_images else []
    return msgspec.json.encode(
        response(images=sent, parameters=result.request, info=info_text(result.info))
    )


@pytest.mark.parametrize("chunk", [3, 3 << 16])
@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
@pytest.mark.parametrize(
    "fields", [{}, {"n_iter": 3}, {"send_images": False}, {"styles": ["x"], "batch_size": 2}]
)
def test_chunks_are_the_whole(fields, format, chunk, monkeypatch):
    monkeypatch.setattr(json_results, "CHUNK", chunk)
    it = result(**fields)
    it = replace(it, encoding=replace(it.encoding, format=format))
    assert b"".join(reply_chunks(it, TextToImageResponse)) == whole(it, TextToImageResponse)


def test_of_img2img():
    it = made(of_picture("loopback", 3, 0.5, "Linear", "None"))
    assert b"".join(reply_chunks(it, ImageToImageResponse)) == whole(it, ImageToImageResponse)


def test_no_picture_at_all():
    it = replace(result(), pictures=())
    assert json.loads(b"".join(reply_chunks(it, TextToImageResponse)))["images"] == []
    assert b"".join(reply_chunks(it, TextToImageResponse)) == whole(it, TextToImageResponse)


def test_one_picture_is_encoded_at_a_time(monkeypatch):
    encoded = []

    def seen(image, format, **how):
        encoded.append(image)
        return iter([b"AAAA"])

    monkeypatch.setattr(generation, "picture_chunks", seen)
    chunks = reply_chunks(result(n_iter=3), TextToImageResponse)
    seen_at = [len(encoded) for chunk in chunks if chunk == b"AAAA"]
    assert seen_at == [1, 2, 3, 4]


def test_a_reply_ends_where_it_is_too_large_and_says_what_to_change():
    it = result(n_iter=3)
    size = len(whole(it, TextToImageResponse))
    fits = replace(it, encoding=replace(it.encoding, most=size))
    assert len(b"".join(reply_chunks(fits, TextToImageResponse))) == size
    small = replace(it, encoding=replace(it.encoding, most=size - 1))
    with pytest.raises(ReplyTooLarge) as refused:
        b"".join(reply_chunks(small, TextToImageResponse))
    assert refused.value.field == "send_images"
    assert f"more than {size - 1} bytes (--job-reply)" in refused.value.message


class TestExtras:
    HOW = Encoding("png", 80, embed=True)

    def test_a_single_picture(self):
        it = Extras((Picture(NOISE, None),), "<p>é</p>", self.HOW)
        text = picture_text(NOISE, "png", quality=80)
        expected = extras.ExtrasSingleImageResponse(html_info="<p>é</p>", image=text)
        assert b"".join(extras.one_chunks(it)) == msgspec.json.encode(expected)

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_a_batch(self, count):
        it = Extras((Picture(NOISE, None),) * count, "<p></p>", self.HOW)
        text = picture_text(NOISE, "png", quality=80)
        expected = extras.ExtrasBatchImagesResponse(html_info="<p></p>", images=[text] * count)
        assert b"".join(extras.all_chunks(it)) == msgspec.json.encode(expected)

    def test_one_that_is_too_large(self):
        it = Extras((Picture(NOISE, None),) * 2, "", replace(self.HOW, most=1000))
        for chunks, field in ((extras.all_chunks, "imageList"),):
            with pytest.raises(ReplyTooLarge) as refused:
                b"".join(chunks(it))
            assert refused.value.field == field
