"""The library's face, every method of it, over the fake backend and files in a folder."""

import base64
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import hexfusion
from hexfusion import ExtrasRequest, HexfusionError, Img2Img, Picture, PictureLists, Studio, Txt2Img
from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.adapters.gpu.parts import FakeParts
from hexfusion.adapters.gpu.upscaler_fake import FakeUpscaler
from hexfusion.application.pictures.picture_files import encode_picture, read_infotext
from hexfusion.application.ports.upscale import go_on
from hexfusion.domain.errors import InvalidRequest, JobCancelled, NotFound, OptionError, QueueFull

SMALL = Txt2Img(prompt="a cat", seed=1, steps=3, width=64, height=64)
RED, BLUE = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
#: Seconds that a test waits for what other threads do.
LONG = 30


class Gate(FakeInference):
    """Makes the pictures, each step when it is let to; `reached` tells that one waits."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.open = threading.Event(), threading.Event()

    def render(self, plan, observer, sources=None):
        def held(step, of, preview):
            verdict = observer(step, of, preview)
            if step == 1:
                self.reached.set()
                assert self.open.wait(LONG)
                verdict = observer(step, of, preview)
            return verdict

        return super().render(plan, held, sources)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return hexfusion.build(data_dir=tmp_path, backend="fake")


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def held(tmp_path: Path, gate: Gate) -> Studio:
    return hexfusion.build(data_dir=tmp_path, backend=replace(FakeParts(), inference=gate), queue=1)


@contextmanager
def running(gate: Gate, work: Callable[[], object]) -> Iterator[Future]:
    """The work in a thread, when it has come to the gate; at the end the gate opens."""
    with ThreadPoolExecutor() as pool:
        try:
            job = pool.submit(work)
            assert gate.reached.wait(LONG)
            yield job
        finally:
            gate.open.set()


def text(image: Image.Image) -> str:
    return base64.b64encode(encode_picture(image, "png")).decode()


def test_txt2img(studio: Studio, tmp_path: Path):
    made = studio.txt2img(SMALL)
    made.pictures[0].save(tmp_path / "cat.jpg")
    with Image.open(tmp_path / "cat.jpg") as saved:
        assert saved.size == (64, 64)
        assert read_infotext(saved) == made.infotext
    assert made.infotext.startswith("a cat\nSteps: 3, Sampler: Euler,")


def test_txt2img_with_lists(studio: Studio):
    made = studio.txt2img(
        hexfusion.Txt2Img(steps=1, width=64, height=64, n_iter=2),
        lists=PictureLists(prompts=("a cat", "a dog"), seeds=(7, 9)),
    )
    told = [picture.infotext or "" for picture in made.pictures if "Seed: " in picture.infotext]
    assert "a cat\n" in told[-2] and "Seed: 7," in told[-2]
    assert "a dog\n" in told[-1] and "Seed: 9," in told[-1]


@pytest.mark.parametrize(
    "given",
    [
        lambda: RED,
        lambda: [RED],
        lambda: encode_picture(RED, "png"),
        lambda: text(RED),
        lambda: "data:image/png;base64," + text(RED),
        lambda: Picture(RED, "whatever made it"),
        lambda: Image.open(io.BytesIO(encode_picture(RED, "png"))),
    ],
    ids=["image", "list", "bytes", "base64", "data URI", "Picture", "opened file"],
)
def test_img2img_takes_a_picture_in_any_form(studio: Studio, given):
    request = Img2Img(steps=2, width=64, height=64, seed=1, denoising_strength=0.5)
    (made,) = studio.img2img(request, given()).pictures
    (by_text,) = studio.img2img(Img2Img(**fields(request) | {"init_images": [text(RED)]})).pictures
    assert made.image.tobytes() == by_text.image.tobytes() != RED.tobytes()
    assert "Denoising strength: 0.5" in made.infotext


def fields(request) -> dict:
    return {name: getattr(request, name) for name in request.__struct_fields__}


def test_img2img_starts_from_what_is_given_rather_than_from_the_request(studio: Studio):
    request = Img2Img(steps=1, width=64, height=64, denoising_strength=0, init_images=[BLUE])
    assert studio.img2img(request).pictures[0].image.getpixel((0, 0)) == (0, 0, 255)
    assert studio.img2img(request, RED).pictures[0].image.getpixel((0, 0)) == (255, 0, 0)


def test_img2img_with_a_mask_makes_the_white_anew(studio: Studio):
    mask = Image.new("L", (64, 64))
    mask.paste(255, (32, 0, 64, 64))
    request = Img2Img(
        steps=3, width=64, height=64, seed=1, inpaint_full_res=False, mask_blur=0,
        denoising_strength=1.0, inpainting_fill=1,
    )  # fmt: skip
    made = studio.img2img(request, RED, mask).pictures[0].image
    assert made.crop((0, 0, 24, 64)).getcolors() == [(24 * 64, (255, 0, 0))]
    assert (255, 0, 0) not in [colour for _, colour in made.crop((40, 0, 64, 64)).getcolors()]
    by_text = studio.img2img(Img2Img(**fields(request) | {"mask": text(mask)}), RED).pictures[0]
    assert by_text.image.tobytes() == made.tobytes()


@pytest.mark.parametrize(
    ("pictures", "mask", "field", "words"),
    [
        (None, None, "init_images", "must hold a picture to start from"),
        ([], None, "init_images", "must hold a picture to start from"),
        (5, None, "init_images", "must be a picture: one of PIL's"),
        ([RED, None], None, "init_images", "must be a picture: one of PIL's"),
        ("no base64!", None, "init_images", "Invalid encoded image"),
        (b"no picture", None, "init_images", "Invalid encoded image"),
        (RED, 5, "mask", "must be a picture: one of PIL's"),
        (Image.new("RGB", (0, 5)), None, "init_images", "a picture may have 1 to"),
    ],
)
def test_img2img_names_what_is_wrong(studio: Studio, pictures, mask, field, words):
    with pytest.raises(InvalidRequest) as caught:
        studio.img2img(Img2Img(steps=1, width=64, height=64), pictures, mask)
    assert caught.value.field == field
    assert words in caught.value.message


def test_a_request_of_the_wrong_kind_is_named(studio: Studio):
    for call in (
        lambda: studio.txt2img(Img2Img()),
        lambda: studio.img2img(SMALL, RED),
        lambda: studio.extras(SMALL, RED),
    ):
        with pytest.raises(InvalidRequest, match=r"^request: must be \w+, not "):
            call()


def test_extras(studio: Studio, tmp_path: Path):
    (cat,) = studio.txt2img(SMALL).pictures
    request = ExtrasRequest(upscaler_1="Nearest", upscaling_resize=2)
    done = studio.extras(request, [cat, RED, text(BLUE)])
    assert [each.image.size for each in done.pictures] == [(128, 128)] * 3
    assert done.pictures[0].image.tobytes() == cat.image.resize((128, 128), 0).tobytes()
    assert done.pictures[0].infotext == cat.infotext
    assert done.pictures[1].infotext is None
    assert done.pictures[2].image.getpixel((0, 0)) == (0, 0, 255)
    done.pictures[0].save(tmp_path / "large.png")
    with Image.open(tmp_path / "large.png") as saved:
        assert saved.text["parameters"] == cat.infotext
        assert "Postprocess upscaler: Nearest" in saved.text["postprocessing"]
    assert "parameters" not in cat.image.info  # the caller's own are left alone


@pytest.mark.parametrize(
    ("request_", "picture", "error"),
    [
        (ExtrasRequest(upscaling_resize=-1), RED, "upscaling_resize: must be above 0, not -1"),
        (ExtrasRequest(upscaler_1=None), RED, "upscaler_1: must be a text, not None"),
        (ExtrasRequest(), {"image": RED}, "pictures: must be a picture"),
        (ExtrasRequest(), b"x", "pictures: Invalid encoded image"),
        (ExtrasRequest(upscaler_1="nobody's"), RED, "not found"),
    ],
)
def test_extras_names_what_is_wrong(studio: Studio, request_, picture, error):
    with pytest.raises(HexfusionError, match=error):
        studio.extras(request_, picture)


def test_interrogate(studio: Studio):
    assert studio.interrogate(RED) == "a red picture"
    assert studio.interrogate(text(BLUE), "deepdanbooru")
    with pytest.raises(NotFound, match="model 'blip' not found"):
        studio.interrogate(RED, "blip")
    with pytest.raises(InvalidRequest, match="picture: must be a picture"):
        studio.interrogate(None)


def test_picture_info(studio: Studio):
    (cat,) = studio.txt2img(SMALL).pictures
    for given in (cat, encode_picture(cat.image, "webp", cat.infotext)):
        info = studio.picture_info(given)
        assert info.info == cat.infotext
        assert info.parameters["Seed"] == "1"
    assert studio.picture_info(RED).info == ""


def test_progress_and_interrupt(held: Studio, gate: Gate):
    assert held.progress().progress == 0
    request = Txt2Img(**fields(SMALL) | {"force_task_id": "mine", "n_iter": 3})
    with running(gate, lambda: held.txt2img(request)) as job:
        for report in (held.progress(), held.progress("mine")):
            assert 0 < report.progress < 1
            assert (report.state.job_count, report.state.sampling_steps) == (3, 3)
            assert report.picture is not None
        assert held.progress("mine", picture=False).picture is None
        with pytest.raises(NotFound, match="job 'another' not found"):
            held.progress("another")
        held.interrupt("mine")
        gate.open.set()
        assert len(job.result(LONG).pictures) == 1
    assert held.progress().progress == 0
    held.interrupt()  # nobody is there
    with pytest.raises(NotFound):
        held.interrupt("mine")


def test_interrupt_without_an_id_stops_what_runs(held: Studio, gate: Gate):
    request = Txt2Img(**fields(SMALL) | {"n_iter": 3})
    with running(gate, lambda: held.txt2img(request)) as job:
        held.interrupt()
        gate.open.set()
        assert len(job.result(LONG).pictures) == 1


def test_skip_goes_on_with_the_next_batch(held: Studio, gate: Gate):
    request = Txt2Img(**fields(SMALL) | {"force_task_id": "mine", "n_iter": 2})
    with running(gate, lambda: held.txt2img(request)) as job:
        held.skip("mine")
        gate.open.set()
        pictures = [each.image for each in job.result(LONG).pictures[-2:]]
    whole = held.txt2img(request).pictures[-2:]
    assert pictures[0].tobytes() != whole[0].image.tobytes()
    assert pictures[1].tobytes() == whole[1].image.tobytes()


def test_cancel_and_a_full_queue(held: Studio, gate: Gate):
    waiting = Txt2Img(**fields(SMALL) | {"force_task_id": "waiting"})
    with running(gate, lambda: held.txt2img(SMALL)) as job, ThreadPoolExecutor() as pool:
        second = pool.submit(held.txt2img, waiting)
        until(lambda: held.progress("waiting").textinfo == "In queue: 1/1")
        with pytest.raises(QueueFull):
            held.txt2img(SMALL)
        held.cancel("waiting")
        with pytest.raises(JobCancelled):
            second.result(LONG)
        with pytest.raises(NotFound):
            held.cancel("waiting")
        gate.open.set()
        assert len(job.result(LONG).pictures) == 1


def until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(LONG * 100):
        try:
            if holds():
                return
        except NotFound:
            pass
        pause.wait(0.01)
    raise AssertionError("it never came to that")


def test_extras_and_interrogation_are_jobs_with_ids(tmp_path: Path):
    reached, go = threading.Event(), threading.Event()

    class Slow(FakeUpscaler):
        def upscale(self, picture, factor, name, settings, advance=go_on):
            advance(1, 2)
            reached.set()
            assert go.wait(LONG)
            return super().upscale(picture, factor, name, settings, advance)

    parts = replace(FakeParts(), upscaler=Slow())
    studio = hexfusion.build(data_dir=tmp_path, backend=parts)
    request = ExtrasRequest(upscaler_1="Lanczos")
    with ThreadPoolExecutor() as pool:
        job = pool.submit(studio.extras, request, [RED, BLUE], id="large")
        assert reached.wait(LONG)
        words = pool.submit(studio.interrogate, RED, id="words")
        until(lambda: studio.progress("words").textinfo == "In queue: 1/1")
        assert studio.progress("large").state.job == "Upscale"
        studio.cancel("words")
        with pytest.raises(JobCancelled):
            words.result(LONG)
        studio.interrupt("large")
        go.set()
        assert len(job.result(LONG).pictures) == 1


def test_options(studio: Studio, tmp_path: Path):
    assert studio.options()["samples_format"] == "png"
    studio.set_options({"samples_format": "webp", "CLIP_stop_at_last_layers": 2})
    assert studio.options()["samples_format"] == "webp"
    assert "Clip skip: 2" in studio.txt2img(SMALL).infotext
    with pytest.raises(OptionError) as caught:
        studio.set_options({"CLIP_stop_at_last_layers": 1, "jpeg_quality": "high"})
    assert caught.value.key == "jpeg_quality"
    assert "Clip skip: 2" in studio.txt2img(SMALL).infotext  # all or none
    with pytest.raises(InvalidRequest, match="changes: must be a dict by option, not 'png'"):
        studio.set_options("png")
    again = hexfusion.build(data_dir=tmp_path, backend="fake")
    assert again.options()["samples_format"] == "webp"


def test_checkpoints(studio: Studio, tmp_path: Path):
    (starter,) = studio.checkpoints()
    folder = tmp_path / "models/Stable-diffusion"
    (folder / "another.safetensors").write_bytes((folder / starter.name).read_bytes())
    assert len(studio.checkpoints()) == 1
    studio.refresh()
    assert {each.name for each in studio.checkpoints()} == {starter.name, "another.safetensors"}
    studio.set_options({"sd_model_checkpoint": "another"})
    assert studio.load_checkpoint().name == "another.safetensors"
    assert "Model: another" in studio.txt2img(SMALL).infotext
    studio.unload_checkpoint()
    assert "Model: another" in studio.txt2img(SMALL).infotext
    with pytest.raises(NotFound, match="checkpoint 'nobody' not found"):
        studio.set_options({"sd_model_checkpoint": "nobody"})


def test_refresh_looks_for_everything(studio: Studio, tmp_path: Path):
    assert (studio.vaes(), studio.loras()) == ((), ()) or not (studio.vaes() or studio.loras())
    (starter,) = studio.checkpoints()
    for name in ("VAE/some.safetensors", "Lora/other.safetensors"):
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Path(starter.filename).read_bytes())
    studio.refresh()
    assert [each.name for each in studio.vaes()] == ["some.safetensors"]
    assert [each.name for each in studio.loras()] == ["other"]


def test_what_there_is(studio: Studio):
    assert [each.name for each in studio.upscalers()] == ["None", "Lanczos", "Nearest"]
    assert len(studio.samplers()) == 20 and "DPM++ 2M" in studio.samplers()
    assert len(studio.schedulers()) == 12 and "Karras" in studio.schedulers()
    for sampler, scheduler in ((studio.samplers()[0], studio.schedulers()[2]),):
        request = Txt2Img(**fields(SMALL) | {"sampler_name": sampler, "scheduler": scheduler})
        assert f"Sampler: {sampler}, Schedule type: {scheduler}" in studio.txt2img(request).infotext


def test_many_threads_get_each_their_own(tmp_path: Path):
    studio = hexfusion.build(data_dir=tmp_path, backend="fake", slots=4)
    requests = [Txt2Img(**fields(SMALL) | {"seed": seed}) for seed in range(16)]
    alone = [studio.txt2img(each).pictures[0].image.tobytes() for each in requests]
    with ThreadPoolExecutor(16) as pool:
        together = pool.map(lambda each: studio.txt2img(each).pictures[0].image.tobytes(), requests)
        assert list(together) == alone
