"""What libraries hand out becomes what JSON has, of exactly JSON's types."""

import json
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from fractions import Fraction

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.PngImagePlugin import iTXt
from PIL.TiffImagePlugin import IFDRational

from hexfusion.domain.plain_values import plain


class Text(str):
    def __str__(self) -> str:
        return "something else"


class Whole(int):
    pass


class Broken(float):
    pass


class Raw(bytes):
    pass


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


class Bits(IntFlag):
    ONE = 1
    TWO = 2


class Shape(Enum):
    ROUND = (1, "r")


class Lookup(Mapping):
    def __getitem__(self, key):
        return Text("found")

    def __iter__(self):
        return iter([Text("key")])

    def __len__(self):
        return 1


Point = namedtuple("Point", "x y")

CASES = [
    (iTXt("ž", "en", "k"), "ž"),
    (Text("a"), "a"),
    (Whole(3), 3),
    (Broken(1.5), 1.5),
    (Raw(b"a\xff"), "a\ufffd"),
    (bytearray(b"b"), "b"),
    (memoryview(b"c"), "c"),
    (Colour.RED, "red"),
    (Size.LARGE, 3),
    (Bits.ONE | Bits.TWO, 3),
    (Shape.ROUND, [1, "r"]),
    (IFDRational(72, 1), 72.0),
    (IFDRational(1, 0), None),
    (Fraction(1, 2), 0.5),
    (numpy.float32(1.5), 1.5),
    (numpy.float64("nan"), None),
    (numpy.float64("inf"), None),
    (numpy.int64(7), 7),
    (numpy.uint64(2**64 - 1), 2**64 - 1),
    (numpy.bool_(True), True),
    (numpy.str_("n"), "n"),
    (numpy.bytes_(b"n"), "n"),
    (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (OrderedDict(a=Whole(1)), {"a": 1}),
    (Lookup(), {"key": "found"}),
    ({Whole(1): 2, b"k": 3, None: 4, (1, 2): 5, Size.LARGE: 6}, None),
    (Point(Whole(1), Text("y")), [1, "y"]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset(["b", "a"]), ["a", "b"]),
    (range(3), [0, 1, 2]),
    ("a\ud800b", "a?b"),
    ({"k\ud800": 1}, {"k?": 1}),
    (2**70, 2**70),
]


def types_of(value):
    if isinstance(value, dict):
        return {str}.union({type(key) for key in value}, *map(types_of, value.values()))
    if isinstance(value, list):
        return set().union(*map(types_of, value))
    return {type(value)}


@pytest.mark.parametrize(("value", "expected"), CASES, ids=lambda value: type(value).__name__)
def test_values_of_libraries(value, expected):
    got = plain(value)
    if expected is not None:
        assert got == expected
    assert types_of(got) <= {str, int, float, bool, type(None)}
    json.dumps(got, allow_nan=False).encode()


def test_keys_become_text():
    value = {Whole(1): 2, b"k": 3, None: 4, (1, 2): 5, Size.LARGE: 6, Text("t"): 7}
    assert plain(value) == {"1": 2, "k": 3, "None": 4, "[1, 2]": 5, "3": 6, "t": 7}


@pytest.mark.parametrize("value", [object(), 1 + 2j, Decimal("1.5"), print])
def test_what_json_has_not_is_said_or_replaced(value):
    with pytest.raises(TypeError, match="has no form in JSON"):
        plain([value])
    assert plain({"a": [value]}, otherwise=str) == {"a": [str(value)]}


def test_a_list_in_itself_ends():
    value: list = []
    value.append(value)
    assert plain(value, otherwise=lambda _: "deep") == "deep"


texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
        max_leaves=20,
    )
)
def test_what_is_plain_stays(value):
    assert plain(value) == value
