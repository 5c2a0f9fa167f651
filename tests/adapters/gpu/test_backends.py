"""`--backend NAME`: ours, and those of installed packages. See examples/own_backend.py."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hexfusion
from hexfusion import bootstrap
from hexfusion.adapters.gpu.backends import BUILT_IN, GROUP, backend_names
from hexfusion.adapters.gpu.parts import FakeParts, OwnParts, missing, parts_of
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.flags import FlagError

ROOT = Path(__file__).resolve().parents[3]


class Packages:
    """Distributions in a folder on sys.path, as pip would leave them there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, entries: str, **modules: str) -> None:
        info = self.folder / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")
        for module, text in modules.items():
            (self.folder / f"{module}.py").write_text(text)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Packages(folder)


def build(tmp_path: Path, backend: str) -> hexfusion.Studio:
    return hexfusion.build(data_dir=tmp_path / "data", backend=backend)


def refusal(tmp_path: Path, backend: str) -> str:
    with pytest.raises(FlagError) as caught:
        build(tmp_path, backend)
    assert caught.value.flag == "--backend"
    return caught.value.message


def test_ours_are_declared_as_anybodys_would_be():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"][GROUP] == BUILT_IN


def test_an_installed_package_brings_one(tmp_path: Path, packages: Packages):
    example = (ROOT / "examples/own_backend.py").read_text("utf-8")
    packages.add("some-clouds", "clouds = own_clouds:make_parts", own_clouds=example)
    assert backend_names() == ["torch", "fake", "clouds"]
    request = hexfusion.Txt2Img(prompt="a sunset", steps=3, width=64, height=64, seed=1)
    made = [build(tmp_path, name).txt2img(request).pictures[0] for name in ("clouds", "Clouds")]
    assert len(set(made[0].image.get_flattened_data())) > 500
    assert made[0].image.tobytes() == made[1].image.tobytes()


def test_an_unknown_name_lists_what_there_is(tmp_path: Path, packages: Packages):
    packages.add("some-clouds", "clouds = own_clouds:make_parts")
    assert refusal(tmp_path, "onnx") == "must be one of torch, fake, clouds, not 'onnx'"


def test_the_command_line_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert bootstrap.main(["--backend", "onnx", "--data-dir", str(tmp_path)]) == 2
    assert "hexfusion: --backend: must be one of torch, fake, not 'onnx'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("raise OSError('no device')", "cannot be imported: OSError: no device"),
        ("import nothing_by_that_name", "cannot be imported: ModuleNotFoundError: No module named"),
        ("other = 1", "cannot be imported: AttributeError: "),
        ("def make(*a): 1 / 0", "cannot be made: ZeroDivisionError: division by zero"),
        ("def make(): ...", "cannot be made: TypeError: make() takes 0 positional arguments"),
        ("make = 5", "cannot be made: TypeError: 'int' object is not callable"),
        ("def make(*a): return 5", "gave 5, which has no inference, upscaler, interrogator, faces"),
    ],
)
def test_a_broken_one_is_told_with_its_package(tmp_path, packages: Packages, module, told):
    name = f"broken_{abs(hash(module))}"
    packages.add("some-broken", f"broken = {name}:make", **{name: module})
    assert refusal(tmp_path, "broken").startswith(f"'broken' of some-broken 1.2 {told}")


def test_a_broken_one_matters_only_when_it_is_chosen(tmp_path: Path, packages: Packages):
    packages.add("some-broken", "broken = broken_at_import:make", broken_at_import="1 / 0")
    request = hexfusion.Txt2Img(steps=1, width=64, height=64)
    assert build(tmp_path, "fake").txt2img(request).pictures


def test_what_a_backend_refuses_is_told_in_its_own_words(tmp_path: Path, packages: Packages):
    module = (
        "from hexfusion.domain.errors import CheckpointError\n"
        "def make(flags, options, files): raise CheckpointError('a.bin', 'is none')\n"
    )
    packages.add("some-strict", "strict = strict_backend:make", strict_backend=module)
    with pytest.raises(CheckpointError, match=r"a\.bin: is none"):
        build(tmp_path, "strict")


def test_two_packages_with_one_name(tmp_path: Path, packages: Packages):
    for name in ("one", "two"):
        packages.add(f"some-{name}", f"clouds = clouds_{name}:make")
    told = refusal(tmp_path, "clouds")
    assert told == "'clouds' is declared by some-one 1.2 and by some-two 1.2: keep one of them"


def test_nobody_takes_the_place_of_ours(tmp_path: Path, packages: Packages):
    packages.add("some-thief", "fake = thief:make", thief="1 / 0")
    assert backend_names() == ["torch", "fake"]
    build(tmp_path, "fake")


def test_what_is_given_to_it(tmp_path: Path, packages: Packages):
    """The flags, the options as they are at any time, and what may be done with files."""
    module = (
        "from hexfusion.adapters.gpu.parts import fake_parts\n"
        "given = []\n"
        "def make(*arguments):\n"
        "    given.append(arguments)\n"
        "    return fake_parts(*arguments)\n"
    )
    packages.add("some-curious", "curious = curious_backend:make", curious_backend=module)
    studio = build(tmp_path, "curious")
    ((flags, options, files),) = sys.modules["curious_backend"].given
    assert flags.text("data_dir") == str(tmp_path / "data")
    studio.set_options({"samples_format": "webp"})
    assert options.snapshot().text("samples_format") == "webp"
    files.write(tmp_path / "models/one.bin", b"1")
    found = files.below(tmp_path / "models", lambda name: name.endswith(".bin"))
    assert [path.read_bytes() for path in found] == [b"1"]
    assert files.captioner()


@pytest.mark.parametrize("backend", ["fake", pytest.param("torch", marks=pytest.mark.torch)])
def test_in_a_checkout_that_is_not_installed(tmp_path: Path, backend: str):
    """Nothing but a path leads to it: no distribution tells of entry points."""
    (tmp_path / "hexfusion").symlink_to(ROOT)
    code = (
        "import sys, importlib.metadata as metadata\n"
        "sys.meta_path[:] = [each for each in sys.meta_path if 'editable' not in repr(each)]\n"
        "metadata.entry_points = lambda **_: ()\n"
        "find = metadata.distribution\n"
        "def found(name):\n"
        "    if name == 'hexfusion': raise metadata.PackageNotFoundError(name)\n"
        "    return find(name)\n"
        "metadata.distribution = found\n"
        "from hexfusion import bootstrap\n"
        "flags = bootstrap.parse_flags(sys.argv[1:], {}, absolute=str)\n"
        "container = bootstrap.assemble(flags)\n"
        "bootstrap.build_app(container)\n"
        "print(type(container.parts()).__name__, bootstrap.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--backend", backend, "--data-dir", str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    name, file = done.stdout.split(maxsplit=1)
    assert name == {"fake": "FakeParts", "torch": "TorchParts"}[backend]
    assert file.startswith(str(tmp_path))


def test_where_torch_is_absent_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "hexfusion.adapters.gpu.torch_backend.parts", raising=False)
    told = refusal(tmp_path, "torch")
    assert told.startswith("'torch' of hexfusion cannot be imported: ModuleNotFoundError: ")


def test_a_backend_becomes_parts_and_parts_stay():
    parts = FakeParts()
    assert parts_of(parts) is parts
    own = parts_of(parts.inference)
    assert isinstance(own, OwnParts) and own.inference is parts.inference
    assert own.faces.list() == ()


def test_to_ask_what_is_missing_makes_nothing():
    class Lazy:
        @property
        def inference(self):
            raise AssertionError("nobody may make this yet")

        upscaler = interrogator = inference

    assert missing(Lazy()) == ["faces"]
