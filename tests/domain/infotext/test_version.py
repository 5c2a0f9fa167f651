"""Order of versions, against spec prompts.md section 8.5, item 7."""

from itertools import pairwise

import pytest

from hexfusion.domain.infotext.version import version_key

IN_ORDER = [
    "0.9",
    "1.6.0.dev3",
    "1.6.0a1",
    "v1.6.0-b2",
    "1.6.0-RC",
    "1.6.0rc1",
    "v1.6.0",
    "v1.6.0+local",
    "v1.6.0-5-gabcdef",
    "1.7",
    "v1.7.0-224-gabcdef",
    "v1.7.0-225",
    "v1.10.1",
    "1!0.1",
]


def test_versions_are_ordered_as_pep_440_says():
    for earlier, later in pairwise(map(version_key, IN_ORDER)):
        assert earlier < later


def test_different_writings_of_a_version_are_equal():
    assert version_key("v1.7") == version_key("1.7.0")
    assert version_key("1.7.0-5") == version_key("1.7.0.post5") == version_key("v1.7.0-5-gabcdef")
    assert version_key("1.8.0-RC") == version_key("1.8.0rc0")


@pytest.mark.parametrize("text", ["", "f0.0.17v1.8.0rc-latest", "1.x", "gabcdef", "1" * 5000])
def test_other_texts_are_no_versions(text):
    assert version_key(text) is None
