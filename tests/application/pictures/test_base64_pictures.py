"""Texts that stand for pictures (spec api.md 7.1)."""

import pytest

from hexfusion.application.pictures.base64_pictures import picture_bytes


def never(url: str, field: str) -> bytes:
    raise AssertionError("no address is asked for")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data:image/png;base64,YWJj", b"abc"),
        ("  data:image/png;base64,YWJj\n", b"abc"),
        ("data:image/png;base64,YWJj;ZGVm", b"abc"),
        ("data:image/png;base64,YW,Jj", b"abc"),
        ("data:image/png,YWJj", b""),
        ("data:image/png;base64", b""),
        ("data:image/png;base64;x,YWJj", b""),
        ("data:image/png;", b""),
        ("data:image/", b""),
        ("YWJj", b"abc"),
    ],
)
def test_data_uris(text, found):
    assert picture_bytes(text, "image", never) == found
