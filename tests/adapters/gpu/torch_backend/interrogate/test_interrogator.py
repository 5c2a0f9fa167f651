"""The interrogation port on torch: files in their places, small networks with random weights."""

import os
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save

from hexfusion.adapters.gpu.torch_backend.interrogate.interrogator import TorchInterrogator
from hexfusion.adapters.gpu.torch_backend.interrogate.model_locations import model_locations
from hexfusion.adapters.gpu.torch_backend.interrogate.picture_book import PictureBookNet
from hexfusion.adapters.storage.folders import files_below
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import CheckpointError, ModelUnavailable, NotANumber, OutOfMemory
from hexfusion.domain.interrogation import CaptionSearch
from tests.adapters.gpu.torch_backend.interrogate.networks import PIECES, TAGS, blip, clip, danbooru
from tests.contracts.interrogator import SEARCH, InterrogatorContract, plain

pytestmark = pytest.mark.torch

BLIP, CLIP = "BLIP/model_base_caption_capfilt_large.pth", "CLIP/ViT-L-14.pt"
DANBOORU = "torch_deepdanbooru/model-resnet_custom_v3.pt"


def book(layouts='["bare", "one", "two", "unknown"]', change=None):
    """A captioner's file; it always sees one thing, and is sure of it."""
    torch.manual_seed(0)
    network = PictureBookNet([3, 4, 8], 5, 8, 14)
    state = {name: tensor * 0.01 for name, tensor in network.state_dict().items()}
    state["heads.bias"] = torch.zeros(14)
    for index in (1, 5, 7, 9, 11, 13):  # of 4, 2, 2, 2, 2, 2 answers
        state["heads.bias"][index] = 9.0
    if change:
        change(state)
    words = {"grounds": '["red", "night"]', "kinds": '["cat", "dog"]', "colours": '["red", "blue"]'}
    told = {f"hexfusion.{name}": text for name, text in words.items()}
    return save(state, {**told, "hexfusion.layouts": layouts, "hexfusion.side": "16"})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of each kind."""
    torch.manual_seed(4)
    folder = tmp_path_factory.mktemp("files")
    small = clip(vision=32, text=32)
    for name, content in ((BLIP, {"model": blip()}), (CLIP, small), (DANBOORU, danbooru())):
        torch.save(content, folder / Path(name).name)
    return folder


@pytest.fixture
def models(files, tmp_path):
    """A folder with links to them in their places."""
    for name in (BLIP, CLIP, DANBOORU):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).symlink_to(files / Path(name).name)
    (tmp_path / "BLIP" / "vocab.txt").write_text("\n".join(PIECES))
    return tmp_path


def replaced(path, content):
    """Another file in the place of the link."""
    path.unlink()
    torch.save(content, path)
    os.utime(path, (1, 1))


def opened(models, clip_folder=None, read=book):
    return TorchInterrogator(
        model_locations(models, clip_folder),
        read,
        torch.device("cpu"),
        torch.float32,
        threading.Lock(),
        files_below=files_below,
    )


class TestTorchInterrogator(InterrogatorContract):
    @pytest.fixture
    def interrogator(self, models):
        return opened(models)


class TestTorchInterrogatorWithoutBlip(InterrogatorContract):
    @pytest.fixture
    def interrogator(self, models):
        (models / BLIP).unlink()
        return opened(models)


def test_the_starters_captioner_is_used_where_there_is_no_blip(tmp_path):
    read = []

    def once():
        read.append(1)
        return book()

    without = opened(tmp_path, read=once)
    for _ in range(2):
        assert without.caption(plain(), SEARCH) == "a blue dog in the night sky"
    assert read == [1]


def test_options_reach_blip(models):
    interrogator = opened(models)
    lengths = [
        len(interrogator.caption(plain(), CaptionSearch(min_length=n, max_length=n)).split())
        for n in (6, 30)
    ]
    assert lengths[0] < lengths[1]


def test_deepdanboorus_tags(models):
    assert tuple(score.tag for score in opened(models).tags(plain())) == TAGS


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda it: it.tags(plain()), r"model-resnet_custom_v3\.pt in .*torch_deepdanbooru"),
        (lambda it: list(it.rank(plain(), [["a"]])), r"ViT-L-14\.pt in .*CLIP"),
    ],
)
def test_what_is_missing_is_named(tmp_path, ask, message):
    with pytest.raises(ModelUnavailable, match=message):
        ask(opened(tmp_path))


def test_the_flag_names_clips_folder(models, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(ModelUnavailable, match="elsewhere"):
        list(opened(models, elsewhere).rank(plain(), [["a"]]))
    (models / CLIP).rename(elsewhere / "any name.pt")
    assert list(opened(models, elsewhere).rank(plain(), [["a"]])) == [[1.0]]


def test_the_published_name_wins(models):
    """Where there are several files."""
    torch.save({"model": {}}, models / "BLIP" / "a.pth")
    assert opened(models).caption(plain(), SEARCH)
    (models / BLIP).rename(models / "BLIP" / "b.pth")
    with pytest.raises(CheckpointError, match=r"a\.pth"):
        opened(models).caption(plain(), SEARCH)


def test_a_file_that_changes_is_read_again(models):
    interrogator = opened(models)
    before = interrogator.tags(plain())
    torch.manual_seed(9)
    replaced(models / DANBOORU, danbooru(tags=("a", "b")))
    assert [score.tag for score in interrogator.tags(plain())] == ["a", "b"] != before


def test_nan_is_an_error(models):
    state = danbooru()
    state["n_Conv_3.bias"] = state["n_Conv_3.bias"] * torch.nan
    replaced(models / DANBOORU, state)
    with pytest.raises(NotANumber, match="deepdanbooru"):
        opened(models).tags(plain())
    state = clip()
    state["visual.proj"] = state["visual.proj"] * torch.nan
    replaced(models / CLIP, state)
    with pytest.raises(NotANumber, match="CLIP"):
        list(opened(models).rank(plain(), [["a"]]))


def test_release_takes_networks_off_the_device(models):
    """On the CPU there is nowhere to go: that they are asked to is seen."""
    interrogator = opened(models)
    interrogator.tags(plain())
    moved = []
    (_, tagger) = interrogator._held["danbooru"]
    tagger.network.to = lambda device: moved.append(device)
    interrogator.release()
    assert moved == [torch.device("cpu")]


def test_many_at_once(models):
    interrogator = opened(models)
    expected = interrogator.caption(plain(), SEARCH), list(interrogator.rank(plain(), [["a", "b"]]))
    found: list[object] = []

    def ask():
        found.append(
            (
                interrogator.caption(plain(), SEARCH),
                list(interrogator.rank(plain(), [["a", "b"]])),
            )
        )
        interrogator.release()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage of some length",
        book(layouts="no JSON"),
        book(layouts='["bare"]'),
        book(change=lambda state: state.pop("hidden.weight")),
        book(change=lambda state: state.pop("convs.1.bias")),
        book(change=lambda state: state.update({"more": torch.ones(1)})),
    ],
)
def test_a_damaged_captioner_is_named(tmp_path, data):
    with pytest.raises(CheckpointError, match="captioner"):
        opened(tmp_path, read=lambda: data).caption(plain(), SEARCH)


def test_pictures_of_any_size_are_looked_at(tmp_path):
    interrogator = opened(tmp_path)
    for size in ((1, 1), (64, 64), (1024, 1024), (3000, 2)):
        assert interrogator.caption(Image.new("RGB", size), SEARCH)


def test_memory_that_runs_out_is_freed_and_the_caption_begun_again(models):
    """The second failure is told; what was held then is let go, but the captioner that ships."""
    interrogator, left = opened(models), [1]
    whole = interrogator.caption(plain(), SEARCH)
    assert interrogator.size() > 0

    def advance(done, of):
        if left:
            left.pop()
            raise torch.OutOfMemoryError("out of memory")
        return Verdict.CONTINUE

    interrogator._free = interrogator.drop
    assert interrogator.caption(plain(), SEARCH, advance) == whole
    left.extend((1, 1))
    with pytest.raises(OutOfMemory, match="a caption"):
        interrogator.caption(plain(), SEARCH, advance)
    assert interrogator.size() == 0
