"""An option is read by the shipped code, or the registry says why nothing depends on it."""

import ast
from pathlib import Path

import pytest

from hexfusion.domain import options
from hexfusion.domain.options import REGISTRY
from tests.architecture.options_read import options_read
from tests.architecture.source import ROOMS, ROOT, python_files, tree

#: Where options are described, not read.
REGISTERED = Path(options.__file__).parent.relative_to(ROOT)


@pytest.fixture(scope="module")
def read():
    files = [*python_files(*ROOMS), Path("bootstrap.py")]
    modules = [tree(path) for path in files if not path.is_relative_to(REGISTERED)]
    return options_read(modules, REGISTRY)


def test_an_option_that_nobody_reads_is_declared(read):
    silent = {key for key, option in REGISTRY.items() if not option.without_effect}
    assert silent - read == set()


def test_an_option_that_is_read_is_not_declared_without_effect(read):
    declared = {key for key, option in REGISTRY.items() if option.without_effect}
    assert declared & read == set()


KEYS = ("font", "jpeg_quality", "ESRGAN_tile", "DAT_tile", "ESRGAN_tile_overlap", "rho", "s_noise")


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("def look(options: Options): options.text('font')", {"font"}),
        ("def look(base: Options): return base['rho']", {"rho"}),
        ("def look(x: Mapping[str, OptionValue]): return x.get('font')", {"font"}),
        ("def look(store): return store.snapshot().integer('jpeg_quality')", {"jpeg_quality"}),
        (
            "class A:\n def a(self, options: Options): self._options = options\n"
            " def b(self): return self._options.text('font')",
            {"font"},
        ),
        (
            "def tile(options: Options, family): return options.integer(f'{family}_tile')",
            {"ESRGAN_tile", "DAT_tile"},
        ),
        ("def a(options: Options): return quality(options, 'jpeg_quality')", {"jpeg_quality"}),
        ("KEYS = {'a': 'font'}\ndef a(options: Options, k): options.text(k)", {"font"}),
    ],
    ids=["method", "subscript", "get", "snapshot", "member", "holes", "handed over", "table"],
)
def test_what_is_read_is_found(source, keys):
    assert options_read([ast.parse(source)], KEYS) == keys


@pytest.mark.parametrize(
    "source",
    [
        "FIELDS = ('font', 'rho')",
        "def read(flags: Flags): return flags.text('font')",
        "def read(body: dict): return body['font'], body.get('rho')",
        "def write(options: Options): options['font'] = 1",
        "def tell(options: Options, key): return {'font': options.text(key)}",
        "def run(sigmas): return sigmas.rho",
        "def use(find: Callable[[Options], str]): return find.text('font')",
    ],
    ids=["a word", "a flag", "a body", "written", "told", "an attribute", "a function"],
)
def test_what_only_looks_like_reading_is_not(source):
    assert options_read([ast.parse(source)], KEYS) == set()


def test_keys_in_records_are_found_where_the_records_are_filled():
    record = "class Place: pass\ndef a(place: Place, options: Options): options.text(place.folder)"
    filled = "from files import Place\nPLACE = Place('font')"
    elsewhere = "WORDS = ('rho',)"
    assert options_read(map(ast.parse, (record, filled, elsewhere)), KEYS) == {"font"}


def test_fields_of_a_converted_record_count_when_they_are_asked_for():
    record = "class Chosen:\n rho: float = 0.0\n s_noise: float = 1.0"
    convert = "def a(options): return msgspec.convert(options, Chosen)"
    use = "def b(chosen): return chosen.rho"
    assert options_read(map(ast.parse, (record, convert, use)), KEYS) == {"rho"}
