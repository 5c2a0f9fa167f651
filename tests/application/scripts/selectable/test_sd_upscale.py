"""SD upscale (spec scripts.md 9, images.md 9.3, 13.4), on the fake backend."""

import io

import numpy as np
import pytest
from PIL import Image

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from tests.application.worlds import world

PICTURE = Image.effect_noise((100, 60), 80).convert("RGB")


def request(*arguments, **fields) -> Img2Img:
    plain = {"prompt": "a cat", "seed": 7, "steps": 2, "width": 64, "height": 64}
    return Img2Img(
        **{**plain, "script_name": "sd upscale", "script_args": ["", *arguments], **fields}
    )


def made(request, picture=PICTURE, mask=None, it=None):
    return (it or world()).img2img(request, InitPictures([picture], mask))


def plain_tile(tile, seed, **fields):
    """What plain img2img makes of a tile."""
    asked = request(seed=seed, script_name=None, script_args=[], **fields)
    return world().img2img(asked, InitPictures([tile])).pictures[0].image


def test_tiles_are_repainted_in_order_and_joined_with_soft_seams():
    result = made(request(16, "Lanczos", 2))
    large = PICTURE.resize((200, 120), Image.Resampling.LANCZOS)
    columns, rows = (0, 45, 90, 136), (0, 28, 56)  # images.md 9.3, by hand: 200 and 120, 64, 16
    ramp = np.floor(np.arange(16) * 255 / 16)
    whole, seed = np.zeros((120, 200, 3)), 7
    for y in rows:
        strip = np.zeros((64, 200, 3))
        for x in columns:
            tile = np.asarray(plain_tile(large.crop((x, y, x + 64, y + 64)), seed), dtype=float)
            seed += 1
            share = np.full((1, 64, 1), 255.0)
            if x:
                share[0, :16, 0] = ramp
            part = strip[:, x : x + 64]
            strip[:, x : x + 64] = (tile * share + part * (255 - share)) / 255
        share = np.full((64, 1, 1), 255.0)
        if y:
            share[:16, 0, 0] = ramp
        whole[y : y + 64] = (strip * share + whole[y : y + 64] * (255 - share)) / 255
    (picture,) = result.pictures
    assert picture.image.size == (200, 120)
    assert np.abs(np.asarray(picture.image) - whole).max() <= 2  # Pillow rounds between seams
    assert seed == 7 + 12


def test_what_is_told_of_it():
    result = made(request(16, "lanczos", 2, batch_size=5))
    (text,) = result.info.infotexts
    assert text.endswith(
        "Seed: 7, Size: 64x64, Model hash: 0123456789, Model: tiny, Denoising strength: 0.75, "
        "SD upscale overlap: 16, SD upscale upscaler: Lanczos, Version: v1.10.1"
    )
    assert list(result.info.extra_generation_params) == [
        "SD upscale overlap", "SD upscale upscaler", "Denoising strength",
    ]  # fmt: skip
    assert [each.infotext for each in result.pictures] == [None]  # none lies in the picture
    # 12 tiles in groups of 5: seeds begin with 7, 8, 9; the last has two pictures
    assert (result.info.seed, result.info.all_seeds, result.info.batch_size) == (
        7,
        [9, 10, 11, 12, 13],
        2,
    )
    assert (result.info.subseed, result.info.index_of_first_image) == (-1, 0)
    assert result.request.script_name == "sd upscale"


@pytest.mark.parametrize("n_iter", [1, 2])
def test_the_first_tiles_infotext_is_that_of_the_whole(n_iter):
    """Spec scripts.md 9."""
    it = world()
    result = made(request(16, "None", 2, n_iter=n_iter, seed=20), it=it)
    assert {text.partition("Seed: ")[2].partition(",")[0] for text in result.info.infotexts} == {
        "20"
    }
    assert len(result.info.infotexts) == n_iter == len(result.files)
    for path in result.files:
        saved = Image.open(io.BytesIO(it.archive.read(path))).info["parameters"]
        assert "Seed: 20, " in saved


def test_n_iter_repeats_the_whole_from_a_seed_more():
    result = made(request(0, 0, 2, n_iter=2, seed=3), picture=PICTURE.resize((128, 64)))
    first, second = (each.image for each in result.pictures)
    assert first.size == second.size == (128, 64)  # upscaler None leaves the picture as it is
    tile = PICTURE.resize((128, 64)).crop((64, 0, 128, 64))
    assert first.crop((64, 0, 128, 64)).tobytes() == plain_tile(tile, 4).tobytes()
    assert second.crop((64, 0, 128, 64)).tobytes() == plain_tile(tile, 5).tobytes()
    assert result.info.infotexts[0] == result.info.infotexts[1]


def test_results_are_saved_whatever_the_request_says_and_tiles_are_not():
    """Spec scripts.md 9, api.md 8."""
    it = world()
    result = made(request(16, "None", 2, n_iter=2), it=it)
    assert [path.rsplit("/", 1)[1] for path in result.files] == ["00000-7.png", "00001-8.png"]
    saved = Image.open(io.BytesIO(it.archive.read(result.files[0])))
    assert saved.tobytes() == result.pictures[0].image.tobytes()
    assert saved.info["parameters"] == result.info.infotexts[0]
    it.options.update({"samples_save": False})
    assert made(request(16, "None", 2, save_images=True), it=it).files == ()


def test_a_random_seed_is_drawn_once():
    result = made(request(16, "None", 2, seed=-1, n_iter=2))
    assert (result.info.seed, result.request.seed) == (1000, -1)
    assert result.info.all_subseeds == [1001]


def test_a_mask_holds_for_each_tile():
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    fields = {"inpaint_full_res": False, "mask_blur": 0}
    picture = PICTURE.resize((128, 64))
    result = made(request(0, "None", 2, **fields), picture=picture, mask=mask).pictures[0].image
    for box, kept in (((32, 0, 64, 64), True), ((96, 0, 128, 64), True), ((64, 0, 96, 64), False)):
        assert (result.crop(box).tobytes() == picture.crop(box).tobytes()) is kept


class Watching(FakeInference):
    """Stops, or skips, the third generation, and remembers where the job stood."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.then = [], lambda: None

    def render(self, plan, observer, sources=None):
        def observe(step, of, preview):
            verdict = observer(step, of, preview)
            if step == 1:
                self.seen.append(self.jobs.current())
                self.said.append(
                    (self.jobs.current().text, self.jobs.current().progress.units,
                     self.jobs.current().progress.units_done)
                )  # fmt: skip
            if len(self.said) == 3:
                self.then()
            return verdict

        return super().render(plan, observe, sources)


def watched(then=None):
    backend = Watching()
    it = world(backend)
    backend.jobs, backend.said = it.jobs, []
    backend.then = getattr(it.jobs, then) if then else lambda: None
    return backend, it


def test_progress_counts_groups():
    """Spec scripts.md 9: job_count is groups times n_iter."""
    backend, it = watched()
    made(request(16, "None", 2, n_iter=2), picture=PICTURE.resize((112, 64)), it=it)
    assert backend.said == [(f"Batch {n + 1} out of 4", 4, n) for n in range(4)]


def test_an_interrupt_leaves_the_other_tiles_as_they_were():
    backend, it = watched("interrupt")
    picture = PICTURE.resize((256, 64))
    (result,) = made(request(0, "None", 2), picture=picture, it=it).pictures
    assert len(backend.said) == 3
    old = (192, 0, 256, 64)
    assert result.image.crop(old).tobytes() == picture.crop(old).tobytes()
    new = (0, 0, 64, 64)
    assert result.image.crop(new).tobytes() != picture.crop(new).tobytes()


def test_a_skip_skips_one_group():
    backend, it = watched("skip")
    made(request(0, "None", 2), picture=PICTURE.resize((256, 64)), it=it)
    assert len(backend.said) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((64, 0, 2), r"\[1\] Tile overlap must be below the tile's 64 pixels"),
        ((16, "Nope", 2), r"\[2\] Upscaler must be one of None, Lanczos, Nearest"),
        ((16, 9, 2), r"\[2\] Upscaler must be from 0 to 2"),
        ((16, "Lanczos", 0), r"\[3\] Scale Factor must be from 1.0"),
        ((16, "Lanczos"), "SD upscale takes 4"),
        ((63, "Lanczos", 16), "batches"),
    ],
)
def test_what_is_wrong_is_told_before_any_work(arguments, said):
    it = world()
    with pytest.raises(InvalidRequest, match=said) as refused:
        it.img2img.prepare(request(*arguments), InitPictures([PICTURE]))
    assert refused.value.field == "script_args"


def test_a_picture_that_would_become_huge_is_refused():
    huge = Image.new("RGB", (3000, 3000))
    with pytest.raises(InvalidRequest, match="would make 48000x48000"):
        world().img2img.prepare(request(16, "Lanczos", 16), InitPictures([huge]))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"alwayson_scripts": {"SD Upscale": {"args": []}}}, "alwayson_scripts"),
    ],
)
def test_the_rest_of_the_request_is_checked_too(fields, field):
    with pytest.raises(InvalidRequest) as refused:
        world().img2img.prepare(request(16, "None", 2, **fields), InitPictures([PICTURE]))
    assert refused.value.field == field


def test_other_scripts_and_other_kinds_have_none_of_that_name():
    """Recordings scripts/t2i_bad_name, t2i_i2i_script_in_t2i."""
    with pytest.raises(NotFound, match="script 'Nope'"):
        world().img2img.prepare(request(script_name="Nope"), InitPictures([PICTURE]))
    with pytest.raises(NotFound, match="script 'SD upscale'"):
        world().txt2img.prepare(Txt2Img(script_name="SD upscale"))


def test_options_that_change_meanwhile_do_not_reach_it():
    it = world()
    make = it.img2img.prepare(request(16, "None", 2), InitPictures([PICTURE]))
    it.options.update({"samples_save": False, "add_model_name_to_info": False})
    from hexfusion.application.jobs.job import Job

    with it.jobs.admit(Job("img2img", lambda: 0.0)) as job:
        result = make(job)
    assert "Model: tiny" in result.info.infotexts[0]
    assert len(result.files) == 1
