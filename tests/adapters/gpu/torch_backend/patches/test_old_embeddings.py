"""Embeddings of the first trainers: their vectors lie in a pickled `torch.nn.ParameterDict`.

Source: spec prompts.md 7.1. Catalogue and backend read the same files, each in its own way; neither
makes the object that the file names.
"""

import collections
import copyreg

import pytest
import torch
from torch.nn import Parameter, ParameterDict

from hexfusion.adapters.gpu.torch_backend.patches.embeddings import read_embedding
from hexfusion.adapters.storage.catalogues.extra_network_metadata import embedding
from hexfusion.domain.errors import CheckpointError

pytestmark = pytest.mark.torch
VECTORS = torch.arange(16, dtype=torch.float32).reshape(2, 8) / 8 - 1


class Early:
    """A `ParameterDict` as torch 1.0 to 1.12 wrote it: by its class's name, and its state."""

    def __init__(self, parameters: object, **more: object) -> None:
        self.state = {
            "training": True,
            "_parameters": parameters,
            "_buffers": collections.OrderedDict(),
            "_non_persistent_buffers_set": set(),
            "_backward_hooks": collections.OrderedDict(),
            "_is_full_backward_hook": None,
            "_forward_hooks": collections.OrderedDict(),
            "_forward_pre_hooks": collections.OrderedDict(),
            "_state_dict_hooks": collections.OrderedDict(),
            "_load_state_dict_pre_hooks": collections.OrderedDict(),
            "_modules": collections.OrderedDict(),
            **more,
        }

    @property
    def __class__(self):
        return ParameterDict  # the pickler wants the name to be the object's class

    def __reduce_ex__(self, protocol):
        return copyreg.__newobj__, (ParameterDict,), self.state


def named(parameters: object, **more: object) -> dict[str, object]:
    return {"string_to_token": {"*": 265}, "string_to_param": parameters, **more}


ONE = collections.OrderedDict({"*": Parameter(VECTORS.clone())})
GOOD = {
    "torch's own": named(ParameterDict({"*": Parameter(VECTORS.clone())})),
    "of torch 1": named(Early(ONE)),
    "of torch 1, a plain dict": named(Early(dict(ONE))),
    "frozen": named(ParameterDict({"*": Parameter(VECTORS.clone(), requires_grad=False)})),
    "a tensor, no parameter": named(Early(collections.OrderedDict({"*": VECTORS.clone()}))),
    "in half precision": named(ParameterDict({"*": Parameter(VECTORS.half())})),
    "of another placeholder": named(ParameterDict({"<cat>": Parameter(VECTORS.clone())})),
    "with step and checkpoint": named(
        Early(ONE), name="x", step=500, sd_checkpoint="0123456789", sd_checkpoint_name="v1-5"
    ),
    "its token a tensor": {
        "string_to_token": {"*": torch.tensor(265)},
        "string_to_param": Early(ONE),
    },
    "of later torch, with keys": named(Early(dict(ONE), _keys={"*": None})),
}


def written(tmp_path, content: object, **how: object):
    path = tmp_path / "old.pt"
    torch.save(content, path, **how)
    return path


@pytest.mark.parametrize("name", GOOD)
def test_embeddings_of_the_first_trainers(tmp_path, name: str) -> None:
    path = written(tmp_path, GOOD[name])
    (vectors,) = read_embedding(path).values()
    assert torch.equal(vectors, VECTORS)
    assert not vectors.requires_grad
    listed = embedding(path, path.open)
    assert listed is not None
    assert (listed.vectors, listed.width) == (2, 8)
    if "step" in name:
        assert listed.step == 500


def test_with_the_source_of_the_class_in_the_file_it_is_refused(tmp_path) -> None:
    """The format from before torch 1.6 holds that, and torch's weights-only loader refuses it."""
    path = written(tmp_path, GOOD["torch's own"], _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="convert it to safetensors"):
        read_embedding(path)
    assert embedding(path, path.open) is None


TWO = {"*": Parameter(VECTORS.clone()), "+": Parameter(VECTORS.clone())}
BAD = {
    "two parameters": named(Early(collections.OrderedDict(TWO))),
    "none": named(ParameterDict({})),
    "no parameters": named(Early(None)),
    "a list of parameters": named(Early([Parameter(VECTORS.clone())])),
    "a number": named(Early({"*": 5})),
    "in itself": named(Early({"*": ParameterDict({"*": Parameter(VECTORS.clone())})})),
}


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("name", BAD)
def test_what_holds_no_vectors_is_refused(tmp_path, name: str, new: bool) -> None:
    path = written(tmp_path, BAD[name], _use_new_zipfile_serialization=new)
    with pytest.raises(CheckpointError):
        read_embedding(path)
    assert embedding(path, path.open) is None


class Calls:
    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize(
    "content",
    [
        named(Early(ONE, _backward_hooks=collections.OrderedDict({1: Calls()}))),
        named(Early(collections.OrderedDict({"*": Calls()}))),
        named(Early(ONE, extra=torch.nn.Linear(1, 1))),
        named(torch.nn.ModuleDict({"a": torch.nn.Linear(8, 2)})),
        named(torch.nn.ParameterList([Parameter(VECTORS.clone())])),
    ],
)
def test_nothing_else_may_be_named(tmp_path, capsys, content: object) -> None:
    path = written(tmp_path, content)
    with pytest.raises(CheckpointError, match="which no tensors need"):
        read_embedding(path)
    embedding(path, path.open)
    assert capsys.readouterr().out == ""


def test_the_named_class_is_never_made(tmp_path, monkeypatch) -> None:
    path = written(tmp_path, named(ParameterDict({"*": Parameter(VECTORS.clone())})))

    def made(*_: object) -> None:
        raise AssertionError("a ParameterDict was made")

    monkeypatch.setattr(ParameterDict, "__new__", made)
    monkeypatch.setattr(ParameterDict, "__init__", made)
    monkeypatch.setattr(ParameterDict, "__setstate__", made, raising=False)
    assert torch.equal(*read_embedding(path).values(), VECTORS)


def test_a_state_that_is_none(tmp_path) -> None:
    """`_parameters` in a tuple, as for a class with slots, and a state that is a number."""
    for state in ({"_parameters": 5}, 5, ({"_parameters": {}}, {}), None):
        odd = Early(None)
        odd.state = state
        path = written(tmp_path, named(odd))
        with pytest.raises(CheckpointError):
            read_embedding(path)
        assert embedding(path, path.open) is None
