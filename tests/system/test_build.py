"""`hexfusion.build`: the library, as flags say that are given in one way or another."""

from pathlib import Path

import pytest

import hexfusion
from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.gpu.parts import FakeParts
from hexfusion.domain.errors import ModelUnavailable, Unsupported
from hexfusion.domain.flags import FlagError

SMALL = hexfusion.Txt2Img(prompt="a cat", seed=1, steps=2, width=64, height=64)


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("COMMANDLINE_ARGS", "HEXFUSION_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def folder(studio: hexfusion.Studio) -> Path:
        return Path(studio.checkpoints()[0].filename).parents[2]

    assert folder(hexfusion.build(backend="fake")) == tmp_path / "data"
    monkeypatch.setenv("HEXFUSION_DATA", str(tmp_path / "env"))
    assert folder(hexfusion.build(backend="fake")) == tmp_path / "env"
    for given in ("one", tmp_path / "one"):
        assert folder(hexfusion.build(data_dir=given, backend="fake")) == tmp_path / "one"
    argv = ["--data-dir", "two", "--backend", "fake"]
    assert folder(hexfusion.build(argv)) == tmp_path / "two"
    assert folder(hexfusion.build(argv, data_dir="one")) == tmp_path / "one"


def test_flags_by_name(tmp_path: Path):
    named = hexfusion.build(backend="fake", no_hashing=True, ckpt_dir=tmp_path / "more", queue=0)
    assert "Model hash" not in named.txt2img(SMALL).infotext
    other = hexfusion.build(["--no-hashing"], backend="fake", no_hashing=False)
    assert "Model hash" not in other.txt2img(SMALL).infotext  # False is not given


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"thread": 2}, "thread: no such flag; did you mean threads?; see hexfusion --help"),
        ({"no_half": "yes"}, "--no-half: must be True or False, not 'yes'"),
        ({"threads": "two"}, "--threads: must be a whole number, not 'two'"),
        ({"threads": True}, "--threads: takes a value, not True"),
        ({"threads": 0}, "--threads: must be at least 1, not 0"),
        ({"threads": 1.5}, "--threads: cannot be 1.5"),
        ({"backend": "onnx"}, "--backend: must be one of torch, fake, not 'onnx'"),
    ],
    ids=str,
)
def test_a_wrong_flag_is_named(flags, message):
    with pytest.raises(FlagError) as refused:
        hexfusion.build(**flags)
    assert str(refused.value) == message


def test_a_backend_of_ones_own_has_nothing_else():
    studio = hexfusion.build(backend=FakeInference())
    assert studio.txt2img(SMALL).pictures
    picture = studio.txt2img(SMALL).pictures[0]
    assert studio.interrogate(picture) == "<error>"
    with pytest.raises(ModelUnavailable, match="this backend finds no words for pictures"):
        studio.interrogate(picture, "deepdanbooru")
    with pytest.raises(Unsupported, match="gfpgan_visibility: GFPGAN needs a face restorer"):
        studio.extras(hexfusion.ExtrasRequest(gfpgan_visibility=1), picture)


def test_a_backend_may_be_given_with_all_its_parts():
    studio = hexfusion.build(backend=FakeParts())
    assert studio.interrogate(studio.txt2img(SMALL).pictures[0]).endswith(" picture")


def test_what_it_imports_is_what_it_exports():
    for name in hexfusion.__all__:
        assert getattr(hexfusion, name).__name__ == name
    assert set(hexfusion.__all__) <= set(dir(hexfusion))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        hexfusion.nothing  # noqa: B018
