"""Saving the pictures of a job (spec prompts.md 9, 8.2; api.md 5.5)."""

import hashlib
import io
import logging
import threading
import time

import PIL.Image
import pytest

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.storage.results.images_memory import MemoryImages
from hexfusion.application.jobs.job import Job
from hexfusion.application.pictures.picture_files import read_infotext
from hexfusion.application.ports.images import ArchiveError
from hexfusion.application.saving.named_files import PictureFiles
from hexfusion.application.saving.save_images import SAMPLES
from hexfusion.domain.errors import OptionError
from hexfusion.domain.filenames import DEFAULT_RULES, NameRules
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.options import Options
from hexfusion.domain.prompts import Style
from tests.application.worlds import World, world
from tests.domain.filenames.facts import facts

NOON = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
SAMPLES_TODAY = "outputs/txt2img-images/2026-11-22"
GRIDS_TODAY = "outputs/txt2img-grids/2026-11-22"


def saved(**fields) -> Txt2Img:
    plain = {"prompt": "a cat", "seed": 5, "steps": 3, "width": 64, "height": 64}
    return Txt2Img(**{**plain, "save_images": True, **fields})


def at_noon(**parts) -> World:
    return world(clock=lambda: NOON, **parts)


def files(it: World) -> list[str]:
    """What lies in the archive, less the history."""
    assert isinstance(it.archive, MemoryImages)
    return [path for path in it.archive.files if path != "params.txt"]


def opened(it: World, path: str) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(it.archive.read(path)))


class Witness(FakeInference):
    """Remembers that it was asked to work."""

    def __init__(self) -> None:
        super().__init__()
        self.worked = False

    def render(self, plan, observer, sources=None):
        self.worked = True
        return super().render(plan, observer)


def test_a_picture_is_saved_as_it_is_returned():
    it = at_noon()
    result = it.txt2img(saved())
    assert files(it) == [f"{SAMPLES_TODAY}/00000-5.png"] == list(result.files)
    (picture,) = result.pictures
    on_disk = opened(it, result.files[0])
    assert on_disk.format == "PNG"
    assert on_disk.tobytes() == picture.image.tobytes()
    assert read_infotext(on_disk) == picture.infotext
    assert result.info.index_of_first_image == 0


def test_nothing_is_saved_unless_asked_for():
    it = at_noon()
    result = it.txt2img(saved(save_images=False, batch_size=2))
    assert files(it) == [] == list(result.files)
    assert len(result.pictures) == 2  # and there is no grid: spec prompts.md 9.1


def test_numbers_count_on():
    it = at_noon()
    it.txt2img(saved())
    it.txt2img(saved(seed=9, n_iter=2, override_settings={"return_grid": False}))
    assert [path for path in files(it) if path.startswith(SAMPLES_TODAY)] == [
        f"{SAMPLES_TODAY}/00000-5.png",
        f"{SAMPLES_TODAY}/00001-9.png",
        f"{SAMPLES_TODAY}/00002-10.png",
    ]


def test_a_grid_comes_first_and_is_saved():
    """Recording save/batch2."""
    it = at_noon()
    result = it.txt2img(saved(batch_size=2))
    grid, first, second = result.pictures
    assert grid.image.size == (128, 64)
    assert grid.infotext == first.infotext
    assert result.info.infotexts == [grid.infotext, first.infotext, second.infotext]
    assert result.info.index_of_first_image == 1
    assert result.info.all_seeds == [5, 6]
    assert result.files[2] == f"{GRIDS_TODAY}/grid-0000.png"
    on_disk = opened(it, result.files[2])
    assert on_disk.tobytes() == grid.image.tobytes()
    assert read_infotext(on_disk) == grid.infotext


@pytest.mark.parametrize(
    ("options", "pictures", "returned", "written"),
    [
        ({}, 1, False, False),
        ({}, 2, True, True),
        ({"grid_only_if_multiple": False}, 1, True, True),
        ({"return_grid": False}, 2, False, True),
        ({"grid_save": False}, 2, True, False),
        ({"grid_save": False, "return_grid": False}, 2, False, False),
        ({"samples_save": False}, 2, True, True),
    ],
)
def test_when_there_is_a_grid(options, pictures, returned, written):
    """Spec prompts.md 9.1."""
    it = at_noon()
    result = it.txt2img(saved(n_iter=pictures, override_settings=options))
    assert result.info.index_of_first_image == int(returned)
    assert len(result.pictures) == pictures + returned == len(result.info.infotexts)
    assert [path.startswith(GRIDS_TODAY) for path in files(it)].count(True) == written


def test_grids_have_options_of_their_own():
    options = {
        "grid_format": "jpg",
        "grid_save_to_dirs": False,
        "grid_extended_filename": True,
        "outdir_txt2img_grids": "grids",
        "samples_filename_pattern": "[seed]-[width]x[height]-[basename]-[batch_number]",
    }
    it = at_noon()
    result = it.txt2img(saved(batch_size=2, override_settings=options))
    assert result.files == (
        f"{SAMPLES_TODAY}/00000-5-64x64-img-1.png",
        f"{SAMPLES_TODAY}/00001-6-64x64-img-2.png",
        "grids/grid-0000-5-128x64-grid.jpg",
    )
    assert opened(it, result.files[2]).format == "JPEG"


def test_the_folder_may_have_no_name():
    """An empty output folder is the archive's root."""
    it = at_noon()
    options = {"outdir_txt2img_samples": "", "save_to_dirs": False}
    assert it.txt2img(saved(override_settings=options)).files == ("00000-5-a cat.png",)


def test_names_tell_of_the_job():
    pattern = (
        "[seed]_[seed_first]_[seed_last]_[steps]_[cfg]_[sampler_scheduler]_[model_name]_"
        "[model_hash]_[styles]_[prompt_no_styles]_[batch_number]_[generation_number]_"
        "[batch_size]_[clip_skip]_[job_timestamp]_[datetime<%H>]_[vae_filename]"
    )
    it = at_noon(styles=[Style("Neon", "neon glow")])
    request = saved(
        styles=["Neon"],
        sampler_name="DPM++ 2M",
        batch_size=2,
        n_iter=2,
        override_settings={"samples_filename_pattern": pattern, "CLIP_stop_at_last_layers": 2},
    )
    *_, last, _grid = it.txt2img(request).files
    assert last == (
        f"{SAMPLES_TODAY}/00003-8_5_8_3_7.0_DPM++ 2M Karras_tiny_0123456789_Neon_a cat_2_4_2_2_"
        "20261122120000_12_NoneType.png"
    )


def test_hashes_in_names():
    """Spec prompts.md 9.3: prompts as the job was given them, pixels as they are."""
    pattern = "[prompt_hash]-[negative_prompt_hash]-[full_prompt_hash]-[image_hash<6>]"
    it = at_noon(styles=[Style("Neon", "neon", "dull")])
    request = saved(
        negative_prompt="bad",
        styles=["Neon"],
        override_settings={"samples_filename_pattern": pattern, "save_images_add_number": False},
    )
    result = it.txt2img(request)
    expected = [
        hashlib.sha256(data).hexdigest()[:digits]
        for data, digits in (
            (b"a cat, neon", 8),
            (b"bad", 8),
            (b"a cat bad", 8),
            (result.pictures[0].image.tobytes(), 6),
        )
    ]
    assert result.files == (f"{SAMPLES_TODAY}/{'-'.join(expected)}.png",)


def test_the_operators_rules_reach_names():
    options = {"directories_filename_pattern": "[prompt_spaces]"}
    request = saved(prompt="who? a cat!", override_settings=options)
    (path,) = at_noon(rules=NameRules(max_length=6, unix=True)).txt2img(request).files
    assert path == "outputs/txt2img-images/who? a/00000-5.png"


def test_text_lies_beside_pictures_and_grids():
    """Spec prompts.md 9.2 item 7."""
    it = at_noon()
    result = it.txt2img(saved(batch_size=2, override_settings={"save_txt": True}))
    grid, first, _ = result.pictures
    assert it.archive.read(f"{SAMPLES_TODAY}/00000-5.txt").decode() == first.infotext + "\n"
    assert it.archive.read(f"{GRIDS_TODAY}/grid-0000.txt").decode() == grid.infotext + "\n"


@pytest.mark.parametrize(
    ("format", "extension", "kind"),
    [("jpg", "jpg", "JPEG"), ("JPEG", "jpeg", "JPEG"), ("webp", "webp", "WEBP")],
)
def test_formats(format, extension, kind):
    it = at_noon()
    result = it.txt2img(saved(override_settings={"samples_format": format}))
    assert result.files == (f"{SAMPLES_TODAY}/00000-5.{extension}",)
    on_disk = opened(it, result.files[0])
    assert on_disk.format == kind
    assert read_infotext(on_disk) == result.pictures[0].infotext
    assert result.encoding.format == "png"  # the answer follows the stored options


def test_options_of_the_encoder():
    it = at_noon()

    def path(**options) -> str:
        return it.txt2img(saved(override_settings=options)).files[0]

    low = path(samples_format="jpg", jpeg_quality=10)
    high = path(samples_format="jpg", jpeg_quality=95)
    assert len(it.archive.read(low)) < len(it.archive.read(high))
    assert read_infotext(opened(it, path(enable_pnginfo=False))) is None
    lossless = opened(it, path(samples_format="webp", webp_lossless=True)).convert("RGB")
    assert lossless.tobytes() == opened(it, path()).tobytes()


def test_without_numbers_a_name_is_used_again():
    """Spec prompts.md 9.2 items 4 and 6."""
    it = at_noon()
    options = {"save_images_add_number": False}
    for prompt in ("a cat", "a dog"):
        result = it.txt2img(saved(prompt=prompt, override_settings=options))
    assert files(it) == [f"{SAMPLES_TODAY}/5.png"]
    assert read_infotext(opened(it, files(it)[0])) == result.pictures[0].infotext

    options["save_images_replace_action"] = "Add number suffix"
    options["save_txt"] = True
    for _ in range(2):
        it.txt2img(saved(override_settings=options))
    assert files(it)[1:] == [
        f"{SAMPLES_TODAY}/{name}" for name in ("5-1.png", "5-1.txt", "5-2.png", "5-2.txt")
    ]


def test_a_name_without_words_is_numbered_all_the_same():
    options = {"save_images_add_number": False, "samples_filename_pattern": "[none]"}
    it = at_noon()
    assert it.txt2img(saved(override_settings=options)).files == (f"{SAMPLES_TODAY}/00000.png",)


def test_a_large_picture_gets_a_handy_copy():
    """Spec prompts.md 9.2 item 8."""
    it = at_noon()
    size = {"width": 128, "height": 64}
    result = it.txt2img(saved(**size, override_settings={"target_side_length": 100}))
    stem = result.files[0].removesuffix(".png")
    assert files(it) == [f"{stem}.png", f"{stem}.jpg"]
    assert (opened(it, f"{stem}.jpg").format, opened(it, f"{stem}.jpg").size) == ("JPEG", (100, 50))
    assert read_infotext(opened(it, f"{stem}.jpg")) == result.pictures[0].infotext

    it = at_noon()
    it.txt2img(saved(**size, override_settings={"img_downscale_threshold": 0.0001}))
    assert opened(it, f"{stem}.jpg").size == (128, 64)


@pytest.mark.parametrize(
    "options",
    [
        {"target_side_length": 64},
        {"target_side_length": 10, "export_for_4chan": False},
        {"target_side_length": 10, "samples_format": "jpg"},
    ],
)
def test_no_copy_is_made_of_others(options):
    """Nor of a JPEG, which A1111's copy would overwrite."""
    it = at_noon()
    (path,) = it.txt2img(saved(override_settings=options)).files
    assert files(it) == [path]
    assert opened(it, path).size == (64, 64)


def test_a_picture_too_large_for_its_format_becomes_a_png():
    """Spec prompts.md 9.2 item 1."""
    archive = MemoryImages()
    options = Options({"samples_format": "webp", "save_txt": True, "export_for_4chan": False})
    long = PIL.Image.new("L", (16384, 1))
    path = PictureFiles(archive, DEFAULT_RULES).save(long, "text", SAMPLES, facts(), options)
    assert path == f"{SAMPLES_TODAY}/00000-5.png"
    assert list(archive.files) == [path, f"{SAMPLES_TODAY}/00000-5.txt"]


class Stopping(FakeInference):
    """Calls `stop` in the first step of the second batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0
        self.stop = lambda: None

    def render(self, plan, observer, sources=None):
        self.batches += 1

        def observe(step, of, preview):
            if self.batches == 2 and step == 1:
                self.stop()
            return observer(step, of, preview)

        return super().render(plan, observe)


def test_what_a_picture_was_before_hires_fix_is_saved_if_wished():
    """Spec prompts.md 9.1: all of a batch before the pictures themselves, at their own size."""
    it = at_noon()
    hires = {"enable_hr": True, "denoising_strength": 0.5, "batch_size": 2}
    it.options.update({"save_images_before_highres_fix": True, "grid_save": False})
    result = it.txt2img(saved(**hires))
    today = [f"{SAMPLES_TODAY}/{name}.png" for name in (
        "00000-5-before-highres-fix", "00001-6-before-highres-fix", "00002-5", "00003-6",
    )]  # fmt: skip
    assert list(result.files) == today
    assert [opened(it, path).size for path in today] == [(64, 64)] * 2 + [(128, 128)] * 2
    texts = [read_infotext(opened(it, path)) for path in today]
    assert texts == result.info.infotexts[1:] * 2
    again = at_noon()
    again.options.update({"save_images_before_highres_fix": True, "samples_save": False})
    assert [path for path in again.txt2img(saved(**hires)).files if "before" in path] == []
    assert it.txt2img(saved(**hires, save_images=False)).files == ()


@pytest.mark.parametrize("keep", [False, True])
def test_an_interrupted_batch_is_saved_only_if_wished(keep):
    """Spec prompts.md 9.1: batches that were finished before are saved in any case."""
    backend = Stopping()
    it = at_noon(inference=backend)
    backend.stop = it.jobs.interrupt
    options = {"save_incomplete_images": keep, "grid_save": False}
    result = it.txt2img(saved(n_iter=3, override_settings=options))
    assert len(result.pictures) == 3  # the grid, a whole and an incomplete picture
    names = ["00000-5.png", "00001-6.png"] if keep else ["00000-5.png"]
    assert list(result.files) == [f"{SAMPLES_TODAY}/{name}" for name in names]


@pytest.mark.parametrize("keep", [False, True])
def test_a_skipped_batch_is_saved_only_if_wished(keep):
    backend = Stopping()
    it = at_noon(inference=backend)
    backend.stop = it.jobs.skip
    options = {"save_incomplete_images": keep, "grid_save": False}
    result = it.txt2img(saved(n_iter=3, override_settings=options))
    assert [path.rpartition("-")[2] for path in result.files] == (
        ["5.png", "6.png", "7.png"] if keep else ["5.png", "7.png"]
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"samples_format": "gif"}, "samples_format"),
        ({"grid_format": ""}, "grid_format"),
        ({"grid_background_color": "reddish"}, "grid_background_color"),
        ({"directories_filename_pattern": "../[date]"}, "directories_filename_pattern"),
        ({"samples_filename_pattern": "x" * 5000}, "samples_filename_pattern"),
        ({"outdir_txt2img_samples": "/etc"}, "outdir_txt2img_samples"),
        ({"outdir_txt2img_samples": "../other"}, "outdir_txt2img_samples"),
        ({"outdir_txt2img_grids": "C:\\x"}, "outdir_txt2img_grids"),
        ({"outdir_txt2img_grids": "a\0b"}, "outdir_txt2img_grids"),
    ],
)
def test_what_cannot_be_followed_is_named_before_any_work(options, field):
    backend = Witness()
    it = at_noon(inference=backend)
    for save in (True, False):  # an option is judged where it is set, whoever reads it
        with pytest.raises(OptionError) as refused:
            it.txt2img(saved(save_images=save, override_settings=options))
        assert refused.value.key == field
    assert not backend.worked
    assert files(it) == []


def test_the_operators_folder_may_be_anywhere():
    it = at_noon(archive=MemoryImages("/pictures"))
    options = {"outdir_txt2img_samples": "/pictures/mine"}
    (path,) = it.txt2img(saved(override_settings=options)).files
    assert path == "/pictures/mine/2026-11-22/00000-5.png"


class ReadOnly(MemoryImages):
    """Nothing can be written."""

    def write(self, path, data, *, replace=True):
        raise ArchiveError(path, "Read-only file system")

    def probe(self, folder):
        raise ArchiveError(folder, "Read-only file system")


def test_a_folder_that_cannot_be_written_is_named_before_any_work():
    backend = Witness()
    it = at_noon(inference=backend, archive=ReadOnly())
    with pytest.raises(ArchiveError, match=f"{SAMPLES_TODAY}: Read-only"):
        it.txt2img(saved())
    assert not backend.worked


def test_a_disk_that_fills_up_fails_the_job_and_frees_its_slot():
    class Filling(MemoryImages):
        """Has room for one picture and its kin."""

        def write(self, path, data, *, replace=True):
            if "00001" in path:
                raise ArchiveError(path, "No space left on device")
            super().write(path, data, replace=replace)

    it = at_noon(archive=Filling())
    with pytest.raises(ArchiveError, match=r"00001-6\.png: No space left"):
        it.txt2img(saved(n_iter=3))
    assert files(it) == [f"{SAMPLES_TODAY}/00000-5.png"]
    assert it.jobs.current() is None


def test_jobs_that_save_at_once_get_different_numbers():
    it = at_noon(slots=4)
    options = {"grid_save": False, "return_grid": False}
    threads = [
        threading.Thread(target=it.txt2img, args=(saved(n_iter=5, override_settings=options),))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.rpartition("/")[2][:5] for path in files(it)) == [
        f"{number:05}" for number in range(20)
    ]


def test_a_name_that_another_process_takes_is_left_to_it():
    class Contended(MemoryImages):
        """Another process takes each first name after this one has looked."""

        def write(self, path, data, *, replace=True):
            if path.endswith("00000-5.png") and path not in self.files:
                self.files[path] = b"theirs"
            super().write(path, data, replace=replace)

    it = at_noon(archive=Contended())
    assert it.txt2img(saved()).files == (f"{SAMPLES_TODAY}/00001-5.png",)
    assert it.archive.read(f"{SAMPLES_TODAY}/00000-5.png") == b"theirs"


def test_the_last_infotext_is_kept():
    """Spec prompts.md 8.2: for every job, that of its first picture."""
    it = at_noon()
    result = it.txt2img(saved(save_images=False, n_iter=2))
    assert it.archive.read("params.txt").decode() == result.pictures[0].infotext


def test_there_need_be_no_history():
    """Flag --no-prompt-history."""
    it = at_noon(history=False)
    it.txt2img(saved(save_images=False))
    assert it.archive.names("") == []


def test_a_history_that_cannot_be_kept_stops_nobody(caplog):
    it = at_noon(archive=ReadOnly())
    with caplog.at_level(logging.WARNING):
        assert len(it.txt2img(saved(save_images=False)).pictures) == 1
    assert "params.txt: Read-only file system" in caplog.text


def test_who_asked_is_told_where_the_options_say_so():
    """Spec prompts.md 8.2 (`User`) and 9.3 (`[user]`)."""
    it = world()
    it.options.update({"add_user_name_to_info": True, "samples_filename_pattern": "[user]-[seed]"})
    request = Txt2Img(prompt="a cat", steps=1, width=64, height=64, seed=7, save_images=True)
    job = Job("txt2img", lambda: 1_700_000_000.0, owner="ada")
    with it.jobs.admit(job):
        result = it.txt2img.prepare(request)(job)
    assert result.pictures[0].infotext.endswith("Version: v1.10.1, User: ada")
    assert result.files[0].endswith("-ada-7.png")
    stranger = it.txt2img(request)
    assert "User" not in (stranger.pictures[0].infotext or "")
