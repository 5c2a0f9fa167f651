"""Requests are compared without being held in memory."""

from hexfusion.application.jobs.large_texts import LARGE, digested

TEXT = "a" * (LARGE + 1)


def test_small_values_stay():
    fields = {"prompt": "a" * LARGE, "steps": 20, "styles": ["one"], "mask": None, "n": 1.5}
    assert digested(fields) == fields


def test_large_texts_are_hashed_wherever_they_are():
    found = digested({"init_images": [TEXT], "imageList": ({"data": TEXT, "name": "x"},)})
    hashed = {
        "length": LARGE + 1,
        "sha256": "4e369b5618643c3abddd027b650bfa54810be3b418028a7c9d82299a59d008e8",
    }
    assert found == {"init_images": [hashed], "imageList": [{"data": hashed, "name": "x"}]}


def test_different_texts_differ_and_equal_ones_do_not():
    assert digested(TEXT) == digested("a" * (LARGE + 1))
    assert digested(TEXT) != digested("b" + TEXT[1:])
    assert digested(TEXT) != digested(TEXT + "a")


def test_half_a_surrogate_pair_has_a_hash():
    assert digested(TEXT + "\ud800") != digested(TEXT + "\ud801")
