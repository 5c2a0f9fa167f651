"""The library's face is typed: a user's program is checked against what is installed."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import run

PROGRAM = Path(__file__).with_name("user_program.py")
#: What the program asks mypy, in its order.
REVEALED = [
    "hexfusion.application.studio.Studio",
    "hexfusion.application.results.Picture",
    "PIL.Image.Image",
    "tuple[hexfusion.application.results.Picture, ...]",
    "str",
]


def test_the_program_runs(tmp_path: Path, installed: Path):
    done = run(
        sys.executable, PROGRAM, "--backend", "fake", "--data-dir", tmp_path / "data",
        cwd=tmp_path, path=[installed],
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "large.webp").is_file()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def mypy(program: Path, installed: Path, cache: Path) -> tuple[int, str]:
    """Exit status and output of a strict mypy, to which only the wheel is known."""
    config = cache / "mypy.ini"
    config.write_text("[mypy]\n")
    done = run(
        sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--hide-error-context",
        "--config-file", config, "--cache-dir", cache / "cache", program,
        cwd=program.parent, path=[], MYPYPATH=str(installed),
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_mypy_finds_nothing_and_knows_every_type(tmp_path: Path, installed: Path, cache: Path):
    program = tmp_path / PROGRAM.name
    shutil.copy(PROGRAM, program)
    status, told = mypy(program, installed, cache)
    assert status == 0, told
    revealed = re.findall(r'Revealed type is "(.*)"', told)
    assert [each.replace("builtins.", "") for each in revealed] == REVEALED


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('hexfusion.Txt2Img(steps="20")', 'has incompatible type "str"; expected "int"'),
        ("hexfusion.build().txt2img(hexfusion.Img2Img())", 'has incompatible type "Img2Img"'),
        ("hexfusion.build().img2img(hexfusion.Img2Img(), 5)", 'has incompatible type "int"'),
        ("hexfusion.build().txt2image", 'has no attribute "txt2image"'),
        ("hexfusion.build(backend=5)", 'has incompatible type "int"'),
        ("hexfusion.Nothing", 'has no attribute "Nothing"'),
    ],
)
def test_mypy_finds_what_is_wrong(tmp_path: Path, installed: Path, cache: Path, line, error):
    program = tmp_path / "wrong.py"
    program.write_text(f"import hexfusion\n\n{line}\n")
    status, told = mypy(program, installed, cache)
    assert status == 1, told
    assert error in told


def test_the_mark_of_a_typed_package_is_installed(installed: Path):
    assert (installed / "hexfusion/py.typed").is_file()
