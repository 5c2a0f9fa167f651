"""What is installed: one package, `hexfusion`, which shares its names with nobody."""

import configparser
import os
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from hexfusion.adapters.gpu.backends import BUILT_IN, GROUP
from tests.architecture.source import ROOMS, project_files
from tests.packaging.conftest import run

#: What lies at the top and ships.
AT_THE_TOP = ("__init__.py", "bootstrap.py", "py.typed")
#: Folders of a user's, or of other distributions', that are called as ours are.
THEIRS = ("domain", "application", "adapters", "bootstrap", "tests", "examples", "tools")

USE_IT = """\
import sys
import adapters, application, domain  # theirs
import hexfusion
assert [each.WHOSE for each in (adapters, application, domain)] == ["theirs"] * 3
studio = hexfusion.build(sys.argv[1:])
made = studio.txt2img(hexfusion.Txt2Img(prompt="a cat", steps=1, width=64, height=64))
made.pictures[0].save("cat.png")
print(hexfusion.__file__)
"""


def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as file:
        return set(file.namelist())


def test_it_holds_every_file_of_the_package_and_no_other(wheel: Path):
    """Modules and their data (fonts, networks, vocabulary); no tests, benchmarks, setup.py."""
    shipped = {path for path in project_files() if path.parts[0] in (*ROOMS, *AT_THE_TOP)}
    found = {name for name in names(wheel) if ".dist-info/" not in name}
    assert found == {f"hexfusion/{path.as_posix()}" for path in shipped}
    for kind in ("hexfusion-starter.safetensors", ".ttf", ".txt.gz", "starter.safetensors"):
        assert any(name.endswith(kind) for name in found), kind


def test_one_name_is_taken(wheel: Path):
    with ZipFile(wheel) as file:
        (top,) = (name for name in file.namelist() if name.endswith("top_level.txt"))
        assert file.read(top).decode().split() == ["hexfusion"]
        (entries,) = (name for name in file.namelist() if name.endswith("entry_points.txt"))
        parsed = configparser.ConfigParser()
        parsed.read_string(file.read(entries).decode())
    assert dict(parsed["console_scripts"]) == {"hexfusion": "hexfusion.bootstrap:main"}
    assert dict(parsed[GROUP]) == BUILT_IN


def theirs(folder: Path) -> Path:
    """A folder with packages called as our folders are."""
    for name in THEIRS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("WHOSE = 'theirs'\n")
    return folder


BACKENDS = ["fake", pytest.param("torch", marks=pytest.mark.torch)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_from_a_folder_of_the_users_with_such_names(tmp_path: Path, installed: Path, backend: str):
    folder = theirs(tmp_path / "project")
    (folder / "use_it.py").write_text(USE_IT)
    done = run(
        sys.executable, "use_it.py", "--backend", backend, "--data-dir", tmp_path / "data",
        cwd=folder, path=[installed],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(installed / "hexfusion/__init__.py")
    assert (folder / "cat.png").is_file()
    assert (tmp_path / "data/models/Stable-diffusion/hexfusion-starter.safetensors").is_file()


def test_beside_distributions_with_such_names(tmp_path: Path, installed: Path):
    """Whichever comes first on the path."""
    others, folder = theirs(tmp_path / "others"), tmp_path / "elsewhere"
    folder.mkdir()
    for path in ([installed, others], [others, installed]):
        done = run(
            sys.executable, "-c", USE_IT, "--backend", "fake", "--data-dir", tmp_path / "data",
            cwd=folder, path=path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(installed / "hexfusion/__init__.py")


def fake_wheel(folder: Path) -> Path:
    """A distribution `adapters` with a package of that name."""
    path = folder / "adapters-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as file:
        file.writestr("adapters/__init__.py", "WHOSE = 'theirs'\n")
        file.writestr("adapters-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: adapters\n"
                      "Version: 1.0\n")  # fmt: skip
        file.writestr("adapters-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: a test\n"
                      "Root-Is-Purelib: true\nTag: py3-none-any\n")  # fmt: skip
        file.writestr("adapters-1.0.dist-info/RECORD", "")
    return path


@pytest.mark.slow
def test_pip_installs_it_beside_a_distribution_named_adapters(tmp_path: Path, source: Path):
    """With pip from beginning to end, in an environment of its own, and the console script."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = run(*build, "--wheel-dir", tmp_path / "wheels", ".", cwd=source, path=[])
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "wheels").iterdir()
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    where = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    site = Path(where.strip())
    install = [*pip, "--python", python, "install", "--no-deps", "--no-index"]
    done = run(*install, fake_wheel(tmp_path), wheel, cwd=tmp_path, path=[])
    assert done.returncode == 0, done.stdout + done.stderr
    # What it depends on is where this test finds it.
    (site / "dependencies.pth").write_text("\n".join(dependencies()))
    script = tmp_path / "venv/bin/hexfusion"
    done = run(script, "--help", cwd=tmp_path, path=[])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: hexfusion [flags]")
    code = USE_IT.replace(", application, domain ", " ").replace(
        '(adapters, application, domain)] == ["theirs"] * 3', '(adapters,)] == ["theirs"]'
    )
    done = run(python, "-c", code, "--backend", "fake", cwd=tmp_path, path=[])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(site / "hexfusion/__init__.py")
    done = run(*pip, "--python", python, "uninstall", "-y", "adapters", cwd=tmp_path, path=[])
    assert done.returncode == 0, done.stderr
    assert (site / "hexfusion/adapters/machine.py").is_file()


def dependencies() -> list[str]:
    """Folders on Python's path that hold what others installed, and no hexfusion of the checkout.

    As lines of a .pth file they are not looked through for further .pth files.
    """
    folders = [Path(each) for each in sys.path if os.path.isdir(each)]
    return [str(each) for each in folders if each.name == "site-packages"]
