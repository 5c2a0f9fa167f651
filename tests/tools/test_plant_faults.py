"""The tool that plants faults, on a tree of a few lines."""

import ast
import json
from pathlib import Path

import pytest

from tools.plant_faults.__main__ import main
from tools.plant_faults.choosing import Choice, mirrors
from tools.plant_faults.faults import faults_in, is_real
from tools.plant_faults.project import Project
from tools.plant_faults.running import bench

SOURCE = b'''"""Text: 1 < 2 and 3."""
import threading

Pair = tuple[int, "Pair"]
log = None


class Bank:
    """Text."""

    def __init__(self) -> None:
        self._guard = threading.Lock()

    def move(self, a: int, b: "int" = 5) -> int:
        """Text."""
        log.info("moved %s", a < b)
        with self._guard:
            self.note(a, (b))
        if (a or b) and not a:
            raise ValueError("a < b")
        assert a < b
        return [x["key"] for x in (1, a, b) if a not in x]

    def note(self, \xc3\xa4, b) -> None:
        '\xc3\xa4'; self.total = \xc3\xa4 <= b

    def __repr__(self) -> str:
        return "x" + "y"
'''


def found() -> dict[str, list[tuple[str, str]]]:
    by_kind: dict[str, list[tuple[str, str]]] = {}
    for each in faults_in("bank.py", SOURCE):
        if is_real(each, SOURCE):
            by_kind.setdefault(each.kind, []).append((each.before, each.after))
    return by_kind


def test_what_could_be_planted():
    assert found() == {
        "constant": [("5", "4"), ("5", "6"), ("1", "0"), ("1", "2")],
        "drop-lock": [("with self._guard", "if True")],
        "drop-call": [("self.note(a, (b))", "pass")],
        "swap-arguments": [("a, (b", "b, (a")],
        "negate": [
            ("(a or b) and not a", "not ((a or b) and not a)"),
            ("a not in x", "not (a not in x)"),
        ],
        "and-or": [("or", "and"), ("and", "or")],
        "drop-not": [("not a", "a"), ("not in", "in")],
        "return-none": [('return [x["key"] for x in (1, a, b) if a not in x]', "return None")],
        "key": [('"key"', "'key_'")],
        "drop-element": [("1, ", ""), ("a, ", "")],
        "compare": [("<=", "<")],
    }


@pytest.mark.parametrize(
    ("held", "left"),
    [
        ("with x(), lock:", "with x():"),
        ("with lock, x():", "with x():"),
        ("with lock, x() as y:", "with x() as y:"),
        ("with lock:", "if True:"),
        ("with lock as x:", None),
        ("with x():", None),
    ],
)
def test_a_lock_is_dropped_and_what_is_held_beside_it_stays(held, left):
    source = f"lock = threading.Lock()\n{held}\n    pass\n".encode()
    planted = [f.planted(source) for f in faults_in("x.py", source) if f.kind == "drop-lock"]
    assert planted == [source.replace(held.encode(), left.encode())] if left else planted == []


def test_a_fault_is_where_it_says_and_the_rest_is_as_it_was():
    for each in faults_in("bank.py", SOURCE):
        line = SOURCE.splitlines()[each.line - 1]
        assert line[each.column :].startswith(each.before.encode().splitlines()[0])
        planted = each.planted(SOURCE)
        assert planted.startswith(SOURCE[: each.start]) and planted.endswith(SOURCE[each.end :])
        if is_real(each, SOURCE):
            ast.parse(planted)


def test_ids_tell_faults_apart():
    faults = faults_in("bank.py", SOURCE)
    assert len({each.id for each in faults}) == len(faults)
    assert [each.id for each in faults] == [each.id for each in faults_in("bank.py", SOURCE)]


@pytest.mark.parametrize(
    ("test", "module", "expected"),
    [
        ("tests/http/test_fetch.py", "adapters/http/fetch.py", True),
        ("tests/http/test_fetch_memory.py", "src/x/adapters/http/fetch.py", True),
        ("tests/http/test_fetching.py", "adapters/http/fetch.py", False),
        ("tests/storage/test_fetch.py", "adapters/http/fetch.py", False),
        ("tests/test_fetch.py", "product/fetch.py", True),
    ],
)
def test_a_test_may_mirror_a_module(test, module, expected):
    assert mirrors(Path(test), Path(module)) is expected


FILES = {
    "pyproject.toml": '[tool.importlinter]\nroot_packages = ["shop"]\n',
    "shop/__init__.py": "",
    "shop/price.py": (
        "def price(count, each):\n"
        "    if count < 0:\n"
        "        raise ValueError('count')\n"
        "    return count * each\n"
        "\n\n"
        "def unseen(count):\n"
        "    return count > 3\n"
    ),
    "shop/till.py": (
        "from .price import price\n\n\ndef total(items):\n"
        "    return sum(price(count, each) for count, each in items)\n"
    ),
    "shop/alone.py": "def alone():\n    return 1\n",
    "shop/slow.py": "def slow(count):\n    while count > 0:\n        count = count - 1\n",
    "tests/test_price.py": (
        "import pytest\nfrom shop.price import price\n\n\n"
        "def test_price():\n    assert price(2, 3) == 6\n    assert price(0, 3) == 0\n"
        "    with pytest.raises(ValueError):\n        price(-1, 3)\n"
    ),
    "tests/test_till.py": (
        "from shop import till\n\n\ndef test_total():\n    assert till.total([(1, 2)]) == 2\n"
    ),
    "tests/test_slow.py": "import shop.slow\n\n\ndef test_slow():\n    shop.slow.slow(3)\n",
    "tests/test_other.py": "def test_other():\n    pass\n",
    "tools/helper.py": "X = 1\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).write_text(text)
    return tmp_path / "work"


def test_only_the_product_gets_faults(shop):
    assert {path.as_posix() for path in Project(shop).sources()} == {
        name for name in FILES if name.startswith("shop/")
    }
    (shop / "pyproject.toml").unlink()
    assert {path.parts[0] for path in Project(shop).sources()} == {"shop"}


def test_a_root_that_is_a_package_itself_is_known_by_its_name(tmp_path):
    """Its folders are packages below it, and the copy is imported by that name."""
    files = {
        "pyproject.toml": '[tool.importlinter]\nroot_packages = ["house"]\n',
        "__init__.py": "",
        "till/__init__.py": "",
        "till/sums.py": "def twice(a):\n    return a + a if a > 0 else 0\n",
        "tests/test_sums.py": (
            "from house.till.sums import twice\n\n\n"
            "def test_twice():\n    assert (twice(1), twice(0), twice(-1)) == (2, 0, 0)\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    project = Project(tmp_path)
    assert project.package == "house"
    assert [path.as_posix() for path in project.sources()] == ["till/__init__.py", "till/sums.py"]
    assert Choice(project).tests("till/sums.py") == ["tests/test_sums.py"]
    with bench(project, 60) as planted:
        assert "caught" in {planted.run(fault).outcome for fault in project.faults()}


def test_tests_are_those_that_import_it_nearest_first(shop):
    choice = Choice(Project(shop))
    assert choice.tests("shop/price.py") == ["tests/test_price.py", "tests/test_till.py"]
    assert choice.tests("shop/till.py") == ["tests/test_till.py"]
    assert choice.tests("shop/alone.py") == []
    (shop / "tests/test_a.py").write_text("import shop.price\n")
    (shop / "tests/test_prices.py").write_text("import shop.till\n")
    (shop / "tests/test_locks.py").write_text("import shop.till\n")
    assert Choice(Project(shop)).tests("shop/price.py") == [
        "tests/test_price.py",  # mirrors it
        "tests/test_prices.py",  # sounds like it
        "tests/test_a.py",  # imports it
        "tests/test_locks.py",  # imports what imports it
        "tests/test_till.py",
    ]
    assert Choice(Project(shop)).tests("shop/price.py", "drop-lock")[1:3] == [
        "tests/test_locks.py",
        "tests/test_prices.py",
    ]


def test_a_seed_chooses_the_same_and_of_every_kind(shop):
    project = Project(shop)
    faults = [*project.faults()]
    assert project.chosen(faults, 1, 5) == project.chosen(faults, 1, 5)
    assert len({each.kind for each in project.chosen(faults, 1, 5)}) == 5
    assert project.chosen(faults, 1, 5) != project.chosen(faults, 2, 5)
    every = project.chosen(faults, 1, 99)
    assert len({(each.path, each.line) for each in every}) == len(every)
    assert {each.path for each in project.faults(["shop/alone.py"])} == {"shop/alone.py"}


def test_faults_are_planted_one_at_a_time_and_a_run_is_gone_on_with(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def run(*more: str) -> dict[str, dict]:
        file = tmp_path / "results/faults.json"
        arguments = ["--root", str(shop), "--json", str(file), "--count", "99", "--seconds", "30"]
        assert main([*arguments, *more]) == 1
        return {f"{r['path']}:{r['line']}": r for r in json.loads(file.read_text())["results"]}

    first = run("--only", "shop/price.py", "--kind", "compare")
    assert {place: (each["outcome"], each["by"]) for place, each in first.items()} == {
        "shop/price.py:2": ("caught", "tests/test_price.py::test_price"),
        "shop/price.py:8": ("survived", ""),
    }
    text = (tmp_path / "results/faults.md").read_text()
    assert "2 planted: " in text and "1 survived" in text and "`>` -> `>=`" in text
    capsys.readouterr()
    assert run("--only", "shop/price.py", "--kind", "compare") == first
    assert capsys.readouterr().out == ""  # nothing was run again
    assert {name: (shop / name).read_text() for name in FILES} == FILES


def outcomes(shop: Path, tmp_path: Path, *arguments: str) -> list[tuple[str, str]]:
    file = tmp_path / "faults.json"
    main(["--root", str(shop), "--json", str(file), "--count", "1", *arguments])
    return [(each["outcome"], each["by"]) for each in json.loads(file.read_text())["results"]]


def test_what_does_not_end_was_seen(shop, tmp_path):
    found = outcomes(
        shop, tmp_path, "--only", "shop/slow.py", "--kind", "plus-minus", "--seconds", "4"
    )
    assert found == [("hung", "tests/test_slow.py")]


def test_what_no_test_imports_is_told(shop, tmp_path):
    assert outcomes(shop, tmp_path, "--only", "shop/alone.py") == [("untested", "")]


def test_a_test_that_fails_anyway_catches_nothing(shop, tmp_path):
    (shop / "tests/test_till.py").write_text(
        "from shop import till\n\n\ndef test_total():\n    assert till.total([]) == 2\n"
    )
    found = outcomes(shop, tmp_path, "--only", "shop/till.py")
    assert found == [("unclear", "tests/test_till.py::test_total")]


def test_they_can_be_listed(shop, capsys):
    assert main(["--root", str(shop), "--list", "--kind", "compare"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "shop/price.py:2: compare: < -> <=" in listed and listed[-1].startswith("3 of")
