"""Prompts from file or textbox (spec scripts.md 7), on the fake backend.

Its answers: tests/test_script_recordings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.scripts.prompts_from_file import lines_of, read_line
from tests.application.scripts.scripted import made, names, of_picture, of_text
from tests.application.worlds import world


def lines(*text, iterate=False, same=False, place="start", kind=of_text, **fields):
    script = "prompts from file or textbox"
    return kind(script, iterate, same, place, "\n".join(text), **fields)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a cat", {"prompt": "a cat"}),
        ("--prompt a big cat --steps 3", {"prompt": "a big cat", "steps": 3}),
        ('--prompt "a -- b"', {"prompt": "a -- b"}),
        ("--negative_prompt x y --prompt z", {"negative_prompt": "x y", "prompt": "z"}),
        ("--tiling true --restore_faces yes", {"tiling": True, "restore_faces": False}),
        ("--cfg_scale 2.5 --seed -1", {"cfg_scale": 2.5, "seed": -1}),
        ("--prompt '", {"prompt": "--prompt '"}),
        ("cat --steps 3", {"prompt": "cat --steps 3"}),
        ("--steps", {"prompt": "--steps"}),
        ("--steps three", {"prompt": "--steps three"}),
        ("--nope 3", {"prompt": "--nope 3"}),
        ("--prompt a --steps 3 cat", {"prompt": "--prompt a --steps 3 cat"}),
    ],
)
def test_what_a_line_says(line, said):
    assert read_line(line) == said


@given(st.text("-ap 3'\"\\\n", max_size=20) | st.text())
def test_any_text_is_read(text):
    for line in lines_of(text):
        assert line == line.strip() != ""
        assert read_line(line)


def test_each_line_is_generated_with_what_it_says():
    result = made(lines("red", " ", "--prompt blue --steps 1 --width 72 --seed 9", "--cfg_scale 3"))
    assert [each.image.size for each in result.pictures] == [(64, 64), (72, 64), (64, 64)]
    texts = result.info.infotexts
    assert [text.partition("\n")[0] for text in texts] == ["red a cat", "blue a cat", "a cat"]
    assert "Steps: 1, " in texts[1] and "Seed: 9, Size: 72x64" in texts[1]
    assert "CFG scale: 3.0, Seed: 7" in texts[2]
    assert result.info.index_of_first_image == 0


def test_prompts_join_at_either_end():
    result = made(lines("--negative_prompt x", "red", place="end", negative_prompt="ugly"))
    texts = [each.infotext for each in result.pictures]
    assert "Negative prompt: ugly x\n" in texts[0]
    assert texts[1].startswith("a cat red\nNegative prompt: ugly\n")
    assert made(lines("red", prompt="")).info.all_prompts == ["red"]


@pytest.mark.parametrize(
    ("fields", "seeds", "shown"),
    [
        ({"iterate": True}, [7, 9, 11], 13),
        ({}, [7, 7, 7], 7),
        ({"same": True, "seed": -1}, [1000, 1000, 1000], 1000),
        ({"iterate": True, "seed": -1}, [1000, 1002, 1004], 1006),
        ({"seed": -1}, None, -1),
    ],
)
def test_seeds(fields, seeds, shown):
    result = made(lines("a", "b", "c", batch_size=2, **fields))
    told = [int(each.infotext.partition("Seed: ")[2].partition(",")[0]) for each in result.pictures]
    assert result.info.seed == shown
    if seeds is None:
        assert len(set(told[::2])) == 3
    else:
        assert told[::2] == seeds


def test_lines_say_what_is_saved():
    result = made(lines("--prompt a --do_not_save_samples true", "b", save_images=True))
    assert names(result) == ["00000-7.png"]
    assert names(made(lines("--prompt a --do_not_save_samples false", "b"))) == ["00000-7.png"]
    result = made(lines("--batch_size 2", save_images=True))
    assert len(result.pictures) == 3  # its grid is among them
    result = made(lines("--batch_size 2 --do_not_save_grid true", save_images=True))
    assert len(result.pictures) == 2
    elsewhere = made(lines("--outpath_samples elsewhere", save_images=True))
    assert elsewhere.files[0].startswith("elsewhere/")


def test_a_line_may_choose_its_checkpoint():
    result = made(lines("--sd_model other", "b", "--sd_model nobody"))
    texts = [each.infotext for each in result.pictures]
    assert ["Model: other" in text for text in texts] == [True, False, False]
    assert texts[2].startswith("--sd_model nobody a cat\n")


def test_it_starts_from_pictures_too():
    result = made(lines("red", "--prompt b --batch_size 2", kind=of_picture))
    assert len(result.pictures) == 3
    assert result.info.denoising_strength == 0.75


@pytest.mark.parametrize(
    ("line", "said"), [("--steps 0", "steps: must be"), ("--width 4", "width"), ("", "no line")]
)
def test_what_is_wrong_is_told_before_any_work(line, said):
    with pytest.raises(InvalidRequest, match=said) as refused:
        world().txt2img.prepare(lines("good" if line else "", line))
    assert refused.value.field == "script_args"


def test_an_unknown_sampler_is_told():
    """A1111 takes its first sampler instead."""
    assert "Sampler: Euler a" in made(lines("--sampler_name K_EULER_A")).info.infotexts[0]
    with pytest.raises(NotFound, match="sampler 'nope'"):
        world().txt2img.prepare(lines("--sampler_name nope"))


def test_an_interrupt_ends_the_lines():
    it = world()
    stop = it.jobs.interrupt
    make = it.txt2img.prepare(lines("a", "b", "c"))
    from hexfusion.application.jobs.job import Job

    with it.jobs.admit(Job("txt2img", lambda: 0.0)) as job:
        stop()
        result = make(job)
    assert result.pictures == ()
    assert result.info.all_prompts[0] == "a a cat"
