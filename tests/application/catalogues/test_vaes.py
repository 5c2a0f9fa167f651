import logging

import pytest

from hexfusion.adapters.storage.catalogues.vaes_memory import MemoryVaes
from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import MissingVae, NotFound, OptionError
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.options import Options
from hexfusion.domain.vaes import VaeFile
from tests.application.worlds import TINY as MODEL
from tests.application.worlds import World, world
from tests.contracts.vae_catalog import DECODER, ENCODER, UNET, holding

TINY = Checkpoint(name="sub/tiny.ckpt", filename="Stable-diffusion/sub/tiny.ckpt")
FORCED = VaeFile(name="forced.pt", filename="forced.pt")


@pytest.fixture
def files():
    return {"VAE/a.pt": b"a", "VAE/b.pt": b"b"}


def vaes(files, **settings):
    return Vaes(MemoryVaes(files), **settings)


def chosen(use, checkpoint=TINY, **options):
    found = use.for_job(Options(options), checkpoint)
    return found and found.name


def test_by_option(files):
    """Spec networks.md 1.6."""
    use = vaes(files)
    assert chosen(use) is None
    assert chosen(use, sd_vae="b.pt") == "b.pt"
    assert chosen(use, sd_vae="None") is None


def test_by_the_checkpoints_notes(files):
    files["Stable-diffusion/sub/tiny.json"] = b'{"vae": "a.pt"}'
    use = vaes(files)
    assert chosen(use) == "a.pt"
    assert chosen(use, sd_vae="b.pt") == "b.pt"
    assert chosen(use, sd_vae="b.pt", sd_vae_overrides_per_model_preferences=False) == "a.pt"


def test_by_name(files):
    """The base name counts, not the folder in the checkpoint's name."""
    files["VAE/tiny.pt"] = b""
    files["VAE/sub_tiny.pt"] = b""
    assert chosen(vaes(files)) == "tiny.pt"


def test_the_flag_beats_the_option(files):
    files["forced.pt"] = b"forced"
    assert chosen(vaes(files, forced=FORCED), sd_vae="a.pt") == "forced.pt"


def test_an_unknown_name_is_told_once_in_the_log(files, caplog):
    with caplog.at_level(logging.WARNING):
        assert chosen(vaes(files), sd_vae="nobody.pt") is None
    (line,) = caplog.messages
    assert "'nobody.pt'" in line


def test_the_hash_is_known_after_the_choice_and_shown_in_the_list(files):
    use = vaes(files)
    assert use.list()[0].sha256 is None
    found = use.for_job(Options({"sd_vae": "a.pt"}), TINY)
    assert found is not None
    assert found.shorthash == "ca978112ca"  # of the letter a
    assert use.list()[0] == found


def test_choosing_alone_reads_nothing(files):
    """A request is planned before it waits its turn; hashing belongs after that."""
    found = vaes(files).chosen(Options({"sd_vae": "a.pt"}), TINY)
    assert (found.name, found.sha256) == ("a.pt", None)


def test_without_hashing(files):
    """Flag --no-hashing."""
    found = vaes(files, hashing=False).for_job(Options({"sd_vae": "a.pt"}), TINY)
    assert (found.name, found.sha256) == ("a.pt", None)


def test_a_file_that_vanished_is_told(files):
    use = vaes(files)
    del files["VAE/a.pt"]
    with pytest.raises(NotFound, match=r"'a\.pt'"):
        chosen(use, sd_vae="a.pt")
    use.refresh()
    assert [each.name for each in use.list()] == ["b.pt"]


def picture(use: World, **overrides):
    request = Txt2Img(
        prompt="x", seed=1, steps=2, width=64, height=64, save_images=True,
        override_settings=overrides,
    )  # fmt: skip
    result = use.txt2img(request)
    return result, result.pictures[0].infotext.rpartition("\n")[2]


def test_infotext_and_info_name_the_vae(files):
    """Spec prompts.md 8.2, lines 13 and 14; api.md 9."""
    result, text = picture(world(vaes=files), sd_vae="a.pt")
    assert "Model: tiny, VAE hash: ca978112ca, VAE: a.pt, Version" in text
    assert (result.info.sd_vae_name, result.info.sd_vae_hash) == ("a.pt", "ca978112ca")
    result, text = picture(world(vaes=files))
    assert "VAE" not in text
    assert (result.info.sd_vae_name, result.info.sd_vae_hash) == (None, None)


def test_options_leave_name_or_hash_out_of_infotext(files):
    """Spec api.md 17.1; `info` tells them still."""
    for option, left in (
        ("add_vae_hash_to_info", "Model: tiny, VAE: a.pt, Version"),
        ("add_vae_name_to_info", "Model: tiny, VAE hash: ca978112ca, Version"),
    ):
        result, text = picture(world(vaes=files), sd_vae="a.pt", **{option: False})
        assert left in text
        assert (result.info.sd_vae_name, result.info.sd_vae_hash) == ("a.pt", "ca978112ca")


def test_a_vae_makes_another_picture_and_another_file_name(files):
    """Pattern [vae_filename]: spec prompts.md 9.3."""
    use = world(vaes=files)
    pattern = {"samples_filename_pattern": "[vae_filename]"}
    other, _ = picture(use, sd_vae="a.pt", **pattern)
    own, _ = picture(use, **pattern)
    assert other.pictures[0].image.tobytes() != own.pictures[0].image.tobytes()
    assert other.files[0].endswith("00000-a.png")
    assert own.files[0].endswith("00001-NoneType.png")


def test_infotext_chooses_the_vae_again(files):
    """Spec prompts.md 8.7: `VAE` becomes the option sd_vae."""
    use = world(vaes=files)
    made, _ = picture(use, sd_vae="b.pt")
    text = made.pictures[0].infotext
    again = use.txt2img(Txt2Img(infotext=text))
    assert again.info.sd_vae_name == "b.pt"
    assert again.pictures[0].image.tobytes() == made.pictures[0].image.tobytes()


#: Forge's option.
MODULES = "forge_additional_modules"


@pytest.mark.parametrize(
    ("stored", "overrides", "used"),
    [
        ({MODULES: ["b.pt"]}, {}, "b.pt"),
        ({}, {MODULES: ["b.pt"]}, "b.pt"),
        ({}, {MODULES: ["b"]}, "b.pt"),
        ({}, {MODULES: ["/forge/models/VAE/b.pt"]}, "b.pt"),
        # SillyTavern sends the VAE as both
        ({}, {MODULES: ["b.pt"], "sd_vae": "b.pt"}, "b.pt"),
        ({}, {MODULES: ["b.pt"], "sd_vae": "a.pt"}, "a.pt"),
        ({}, {MODULES: ["b.pt"], "sd_vae": "None"}, None),
        ({}, {MODULES: ["b.pt"], "sd_vae": "Automatic"}, "b.pt"),
        ({}, {MODULES: ["b.pt"], "sd_vae": None}, "b.pt"),
        ({}, {MODULES: []}, None),
        ({}, {MODULES: ["clip_l.safetensors", "b.pt", "t5xxl_fp16.safetensors"]}, "b.pt"),
        ({}, {MODULES: ["a.pt", "b.pt"]}, "b.pt"),  # Forge's last one stays
        ({}, {MODULES: ["t5xxl_fp16.safetensors"]}, None),
        # what the request itself says counts before what is stored
        ({"sd_vae": "a.pt"}, {MODULES: ["b.pt"]}, "b.pt"),
        ({"sd_vae": "None"}, {MODULES: ["b.pt"]}, "b.pt"),
        ({"sd_vae": "a.pt"}, {MODULES: ["clip_l.safetensors"]}, "a.pt"),
        ({"sd_vae": "a.pt"}, {MODULES: []}, "a.pt"),
        ({"sd_vae": "a.pt", MODULES: ["b.pt"]}, {}, "a.pt"),
        ({MODULES: ["b.pt"]}, {"sd_vae": "a.pt"}, "a.pt"),
        ({MODULES: ["b.pt"]}, {"sd_vae": "None"}, None),
        ({MODULES: ["b.pt"]}, {"samples_format": "png"}, "b.pt"),
    ],
)
def test_a_vae_among_forges_modules_is_used_where_sd_vae_is_absent(files, stored, overrides, used):
    """Spec modern.md."""
    found = vaes(files).for_job(Options(stored).with_overrides(overrides), TINY)
    assert (found and found.name) == used


def test_the_flag_and_the_checkpoints_notes_count_as_with_sd_vae(files):
    files["forced.pt"] = b"forced"
    asked = Options().with_overrides({MODULES: ["a.pt"]})
    found = vaes(files, forced=FORCED).for_job(asked, TINY)
    assert found and found.name == "forced.pt"
    files["Stable-diffusion/sub/tiny.json"] = b'{"vae": "b.pt"}'
    found = vaes(files).for_job(asked, TINY)
    assert found and found.name == "a.pt"
    off = asked.updated({"sd_vae_overrides_per_model_preferences": False})
    found = vaes(files).for_job(off, TINY)
    assert found and found.name == "b.pt"


def test_what_sillytavern_sends_when_a_vae_is_chosen(files):
    result, text = picture(world(vaes=files), sd_vae="a.pt", **{MODULES: ["a.pt"]})
    assert "VAE: a.pt" in text
    assert not result.info.comments


def test_modules_that_are_none_here_are_told_in_comments_and_log(files, caplog):
    """Forge leaves them out, too, and says nothing."""
    modules = ["clip_l.safetensors", "/forge/models/text_encoder/t5.gguf", "typo", "typo", "b.pt"]
    with caplog.at_level(logging.WARNING):
        result, text = picture(world(vaes=files), **{MODULES: modules})
    assert "VAE: b.pt" in text
    (comment,) = result.info.comments
    assert comment == (
        "forge_additional_modules: no VAE file is called 'clip_l.safetensors', "
        "'/forge/models/text_encoder/t5.gguf', 'typo': left out"
    )
    assert comment in caplog.messages


@pytest.mark.parametrize("value", ["a.pt", {"vae": "a.pt"}, 5, [["a.pt"]], [None]])
def test_what_is_no_list_of_texts_is_refused_by_name(files, value):
    with pytest.raises(OptionError) as refused:
        picture(world(vaes=files), **{MODULES: value})
    assert refused.value.key == MODULES


def without_vae(files, *names: str) -> World:
    """A world whose checkpoint holds a UNet, and tensors of these names."""
    files[MODEL.filename] = holding([UNET, *names])
    return world(vaes=files)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({}, "no VAE file is chosen"),
        ({"sd_vae": "None"}, "no VAE file is chosen"),
        ({"sd_vae": "Automatic"}, "no VAE file is chosen"),
        ({"sd_vae": "typo.pt"}, "no VAE file is called 'typo.pt'"),
        ({MODULES: ["typo.pt"]}, "no VAE file is chosen"),
        ({MODULES: []}, "no VAE file is chosen"),
        ({"sd_vae_decode_method": "TAESD", "sd_vae": "None"}, None),
        ({"sd_vae": "a.pt"}, None),
        ({MODULES: ["a.pt"]}, None),
    ],
)
def test_a_checkpoint_without_a_vae_is_refused_when_planned(files, overrides, words):
    """Before the job waits in the queue, and before its file is loaded. The message tells the
    checkpoint, and what to do."""
    use = without_vae(files)
    request = Txt2Img(prompt="x", steps=2, width=64, height=64, override_settings=overrides)
    if words is None:
        use.txt2img.prepare(request)
        return
    with pytest.raises(MissingVae, match=words) as refused:
        use.txt2img.prepare(request)
    assert refused.value.field == "sd_vae"
    for told in ("'tiny.safetensors' holds no VAE", "tiny.vae.safetensors", "--vae-path"):
        assert told in refused.value.message


@pytest.mark.parametrize(("name", "half"), [(ENCODER, "its encoder"), (DECODER, "its decoder")])
def test_a_part_of_a_vae_is_named_when_planned(files, name, half):
    with pytest.raises(MissingVae, match=f"holds only a part of a VAE, {half}"):
        without_vae(files, name).txt2img.prepare(Txt2Img(prompt="x", width=64, height=64))


def test_a_vae_of_its_own_and_one_beside_it_are_enough(files):
    whole = without_vae(files, ENCODER, DECODER)
    whole.txt2img.prepare(Txt2Img(prompt="x", width=64, height=64))
    files["Stable-diffusion/tiny.vae.pt"] = b""
    _, text = picture(without_vae(files))
    assert "VAE: tiny.vae.pt" in text


def test_each_checkpoint_of_a_job_is_asked(files):
    files["/models/other.safetensors"] = holding([UNET])
    request = Txt2Img(
        prompt="x", width=64, height=64, refiner_checkpoint="other", refiner_switch_at=0.5
    )
    with pytest.raises(MissingVae, match=r"'other\.safetensors' holds no VAE"):
        world(vaes=files).txt2img.prepare(request)
