"""benchmarks/structure.py, on a package of a few lines."""

from benchmarks.structure import circles_in, measured

FILES = {
    "__init__.py": '"""A package."""\n',
    "a.py": '"""One."""\n\nfrom pack.b import x\n# why\ny = x  # said beside\n',
    "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack import a\nx = 1\n",
    "deep/__init__.py": "",
    "deep/c.py": "from ..a import y\n\n\nz = y\n",
}


def test_a_package_is_measured(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = measured("pack", tmp_path)
    assert (found.modules, found.lines, found.longest, found.median) == (5, 14, 5, 4)
    assert (found.circular, found.circle) == (2, 2)
    assert (found.folders, found.crowd, found.crowded) == (2, 2, ".")
    assert (round(found.docstrings * 11), round(found.comments * 11)) == (2, 1)


def test_circles_are_what_reaches_itself():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}
    assert circles_in({k: frozenset(v) for k, v in graph.items()}) == [frozenset("abc")]
