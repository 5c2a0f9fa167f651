"""Finding words for pictures (spec api.md 12.3, images.md 12)."""

import io
import logging

import pytest
from PIL import Image

from hexfusion.adapters.gpu.interrogator_fake import FakeInterrogator
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.adapters.storage.settings.terms_memory import MemoryTerms
from hexfusion.application.describing.interrogate import ERROR, Interrogate
from hexfusion.application.jobs.job import Job
from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import go_on
from hexfusion.domain.errors import InvalidRequest, ModelUnavailable, NotFound
from hexfusion.domain.interrogation import TagScore
from hexfusion.domain.options import Options

TERMS = MemoryTerms({"colours": "red\nblue", "flavors.top2": "x\na red y\nred z", "z": "\n"})


def png(colour="red", mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (16, 8), colour).save(file, "PNG")
    return file.getvalue()


class Recording(FakeInterrogator):
    """Remembers what it was asked, and fails where it is told to."""

    def __init__(self, fails=()):
        self.heard = []
        self._fails = fails

    def caption(self, picture, search, advance=go_on):
        self._note("caption", search)
        assert picture.mode == "RGB"
        return super().caption(picture, search, advance)

    def rank(self, picture, lists, advance=go_on):
        self._note("rank", [tuple(each) for each in lists])
        for number, probabilities in enumerate(super().rank(picture, lists, advance)):
            if number == 1 and "second list" in self._fails:
                raise RuntimeError("no more")
            yield probabilities

    def tags(self, picture, advance=go_on):
        self._note("tags", None)
        return [*super().tags(picture, advance), TagScore("b_(c)", 0.8)]

    def release(self):
        self.heard.append(("release", None))

    def _note(self, what, value):
        if what in self._fails:
            raise ModelUnavailable(f"{what} needs a file")
        self.heard.append((what, value))


def words(model="clip", picture=None, interrogator=None, terms=TERMS, job=None, **options):
    interrogator = interrogator or Recording()
    store = MemoryOptions()
    store.update(options)
    use = Interrogate(interrogator, terms, store)
    return use.prepare(model, picture or png())(job or Job("interrogate", lambda: 0.0))


def test_a_caption_and_the_terms_that_fit():
    assert words() == "a red picture, red, a red y, red z"


def test_ranks():
    text = words(interrogate_return_ranks=True, interrogate_clip_skip_categories=["flavors"])
    assert text == "a red picture, (red:0.600)"  # 2 to 1.333


def test_without_lists_there_is_the_caption_alone():
    asked = Recording()
    assert words(terms=MemoryTerms(), interrogator=asked) == "a red picture"
    assert [what for what, _ in asked.heard] == ["caption", "release"]


def test_options_reach_the_network():
    asked = Recording()
    words(
        interrogator=asked,
        interrogate_clip_num_beams=3,
        interrogate_clip_min_length=5,
        interrogate_clip_max_length=9,
        interrogate_clip_dict_limit=1,
        interrogate_keep_models_in_memory=True,
    )
    (_, search), (_, lists) = asked.heard
    assert (search.beams, search.min_length, search.max_length) == (3, 5, 9)
    assert lists == [("red",), ("x",)]


@pytest.mark.parametrize(
    ("fails", "text"),
    [
        ("caption", ERROR),
        ("rank", f"a red picture{ERROR}"),
        ("second list", f"a red picture, red{ERROR}"),
    ],
)
def test_clip_never_fails(fails, text, caplog):
    """Spec images.md 12.1; recordings rest/interrogate_clip, interrogate_default."""
    asked = Recording(fails=(fails,))
    with caplog.at_level(logging.ERROR):
        assert words(interrogator=asked) == text
    assert "could not be described" in caplog.text
    assert asked.heard[-1] == ("release", None)


def test_a_list_that_is_no_text_is_such_a_failure():
    class Broken(MemoryTerms):
        def terms(self):
            raise ValueError("no text")

    assert words(terms=Broken()) == f"a red picture{ERROR}"


def test_tags():
    text = words("deepdanbooru")
    assert text.startswith(r"b \(c\), ")
    assert "red" in text.split(", ")
    assert "rating" not in text


def test_tags_may_fail():
    """Recording rest/interrogate_dd: 500, there with an index error."""
    asked = Recording(fails=("tags",))
    with pytest.raises(ModelUnavailable, match="tags needs a file"):
        words("deepdanbooru", interrogator=asked)
    assert asked.heard == [("release", None)]


def test_a_stop_ends_the_text_where_it_is():
    job = Job("interrogate", lambda: 0.0)
    job.interrupt()
    asked = Recording()
    assert words(interrogator=asked, job=job) == "a red picture"
    assert [what for what, _ in asked.heard] == ["caption", "release"]


def test_progress_is_the_jobs():
    seen = []

    class Watched(Job):
        def advance(self, step, of):
            seen.append((step, of))
            assert super().advance(step, of) is Verdict.CONTINUE
            return Verdict.CONTINUE

    words(job=Watched("interrogate", lambda: 0.0))
    assert seen == [(1, 1), (1, 2), (2, 2)]


def test_an_unknown_model():
    with pytest.raises(NotFound):
        words("nope")


@pytest.mark.parametrize("model", ["clip", "deepdanbooru"])
def test_what_is_no_picture(model):
    with pytest.raises(InvalidRequest, match="image"):
        words(model, picture=b"?")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_any_picture_becomes_rgb(mode):
    file = io.BytesIO()
    Image.new(mode, (16, 8)).save(file, "PNG" if mode != "CMYK" else "TIFF")
    assert words(picture=file.getvalue(), terms=MemoryTerms()).endswith("picture")


def test_options_are_those_of_the_moment_it_was_asked():
    store = MemoryOptions()
    use = Interrogate(Recording(), TERMS, store)
    make = use.prepare("clip", png())
    store.update({"interrogate_return_ranks": True})
    assert make(Job("interrogate", lambda: 0.0)) == "a red picture, red, a red y, red z"


def test_words_for_a_picture_at_hand():
    """As scripts ask."""
    use = Interrogate(Recording(), MemoryTerms(), MemoryOptions())
    assert use.words(Image.new("RGB", (8, 8), "blue"), "clip", Options(), go_on) == "a blue picture"
