"""Every method of PyPI's `webuiapi`, unmodified: what works, and what is refused and how.

Methods whose engine is not built yet have to say so with 501; what belongs to extensions of A1111
is answered as by an A1111 without them: 404.
"""

import asyncio
import contextlib
import io
import threading
from collections.abc import Callable

import webuiapi
from PIL import Image, ImageChops
from report import AUTH, PORT, SIDE, Report

report = Report()
user, _, password = AUTH.partition(":")
given: dict[str, object] = {"host": "127.0.0.1", "port": PORT, "sampler": "Euler a", "steps": 4}
api = webuiapi.WebUIApi(**given, **({"username": user, "password": password} if AUTH else {}))
red = Image.new("RGB", (SIDE, SIDE), "red")
small = {
    "prompt": "a red circle",
    "negative_prompt": "blurry",
    "seed": 7,
    "width": SIDE,
    "height": SIDE,
}
called: set[str] = set()


def works(name: str, call: Callable[[], object]) -> object:
    called.add(name.partition(" ")[0])
    return report.works(name, call)


def refused(name: str, call: Callable[[], object], *mentions: str) -> None:
    called.add(name.partition(" ")[0])
    report.refused(name, call, *mentions)


def txt2img() -> str:
    result = api.txt2img(**small)
    assert result.image.size == (SIDE, SIDE), result.image.size
    assert result.info["seed"] == 7 and result.info["steps"] == 4, result.info
    assert result.parameters["prompt"] == "a red circle", result.parameters
    again = api.txt2img(**small)
    assert again.image.tobytes() == result.image.tobytes(), "the same seed, another picture"
    other = api.txt2img(**{**small, "seed": 8})
    assert other.image.tobytes() != result.image.tobytes(), "another seed, the same picture"
    return result.image.info["parameters"].replace("\n", " / ")


def batches() -> str:
    result = api.txt2img(**small, batch_size=2, n_iter=2)
    assert len(result.images) == 4, len(result.images)
    assert result.info["all_seeds"] == [7, 8, 9, 10], result.info["all_seeds"]
    return "4 pictures"


def hires() -> str:
    names = (webuiapi.HiResUpscaler.Latent, webuiapi.HiResUpscaler.Nearest)
    for upscaler in names:
        result = api.txt2img(**small, enable_hr=True, hr_scale=2, hr_upscaler=upscaler)
        assert result.image.size == (2 * SIDE, 2 * SIDE), (upscaler, result.image.size)
    return f"with {', '.join(names)}"


def every_sampler_and_scheduler() -> str:
    samplers, schedulers = api.util_get_sampler_names(), api.util_get_scheduler_names()
    for name in samplers:
        api.txt2img(**small, sampler_name=name)
    for name in schedulers:
        api.txt2img(**small, scheduler=name)
    return f"{len(samplers)} samplers, {len(schedulers)} schedulers"


def without_waiting() -> str:
    async def both() -> list[webuiapi.WebUIApiResult]:
        asked = [api.txt2img(**{**small, "seed": seed}, use_async=True) for seed in (7, 8)]
        return await asyncio.gather(*asked)

    # The library makes a BasicAuth of what it was given; without a password it has none.
    first, second = asyncio.run(both())
    assert (first.info["seed"], second.info["seed"]) == (7, 8)
    assert first.image.tobytes() == api.txt2img(**small).image.tobytes()
    return "two at once"


def stopped_by(stop: Callable[[], object]) -> int:
    """Start a job of some pictures, call `stop` once it is under way; how many are left out."""
    done: list[webuiapi.WebUIApiResult] = []
    long = {**small, "steps": 150, "n_iter": 40, "width": 512, "height": 512}
    if SIDE > 64:
        long = {**small, "steps": 40, "n_iter": 3}
    job = threading.Thread(target=lambda: done.append(api.txt2img(**long)))
    job.start()
    while job.is_alive():
        state = api.get_progress()["state"]
        if state["sampling_step"] and state["job_no"] < state["job_count"] - 1:
            assert stop() in ({}, None)
            break
    job.join()
    return long["n_iter"] - len(done[0].images)


def interrupted() -> str:
    left_out = stopped_by(api.interrupt)
    assert left_out > 0, "all its pictures came"
    return f"{left_out} pictures were left out"


def skipped() -> str:
    left_out = stopped_by(api.skip)
    assert left_out == 0, f"{left_out} pictures did not come"
    return "the batches after it came"


def options() -> str:
    before = api.get_options()
    api.set_options({"CLIP_stop_at_last_layers": 2, "no_such_thing_in_A1111_either": None})
    assert api.get_options()["CLIP_stop_at_last_layers"] == 2
    api.set_options(before)
    assert api.get_options() == before
    return f"{len(before)} options read, changed and all posted back"


def model() -> str:
    (name, *_) = api.util_get_model_names()
    with contextlib.redirect_stdout(io.StringIO()):
        api.util_set_model(name.rpartition(".")[0].upper())  # it looks for the nearest
    assert api.util_get_current_model() in name, api.util_get_current_model()
    return name


def infotext() -> str:
    made = api.txt2img(**small)
    read = api.png_info(made.image)
    assert read.info == made.info["infotexts"][0], read.info
    return read.info.replace("\n", " / ")


def listed(
    method: Callable[[], list[dict[str, object]]], *keys: str, least: int = 0
) -> Callable[[], str]:
    def call() -> str:
        entries = method()
        assert isinstance(entries, list), entries
        assert len(entries) >= least, entries
        assert all(key in each for each in entries for key in keys), entries
        return f"{len(entries)} entries"

    return call


def has(method: Callable[[], dict[str, object]], *keys: str) -> Callable[[], str]:
    def call() -> str:
        answer = method()
        assert all(key in answer for key in keys), answer
        return ", ".join(keys)

    return call


works("txt2img", txt2img)
works("txt2img batches", batches)
works("txt2img hires", hires)
if SIDE == 64:
    works("txt2img all samplers and schedulers", every_sampler_and_scheduler)
works("async_post txt2img use_async", without_waiting)
works("interrupt while running", interrupted)
works("interrupt idle", api.interrupt)
works("skip while running", skipped)
works("skip idle", api.skip)
works("get_options set_options", options)
called.update({"set_options", "post_and_get_api_result", "check_extensions"})
works("util_set_model", model)
works("util_get_current_model", api.util_get_current_model)
works("util_get_model_names", lambda: len(api.util_get_model_names()))
works("util_get_sampler_names", lambda: len(api.util_get_sampler_names()))
works("util_get_scheduler_names", lambda: len(api.util_get_scheduler_names()))
works("util_wait_for_ready", api.util_wait_for_ready)
works("png_info", infotext)
works("get_progress", has(api.get_progress, "progress", "eta_relative", "state", "textinfo"))
works("get_cmd_flags", has(api.get_cmd_flags, "ckpt", "api_auth", "use_cpu"))
works("get_samplers", listed(api.get_samplers, "name", "aliases", "options", least=20))
works("get_schedulers", listed(api.get_schedulers, "name", "label", "aliases", least=12))
works("get_sd_models", listed(api.get_sd_models, "title", "model_name", "hash", least=1))
works("get_sd_vae", listed(api.get_sd_vae, "model_name", "filename"))
works("get_upscalers", listed(api.get_upscalers, "name", "model_name", "scale", least=3))
works("get_latent_upscale_modes", listed(api.get_latent_upscale_modes, "name", least=6))
works("get_loras", listed(api.get_loras, "name", "alias", "path", "metadata"))
works("get_hypernetworks", listed(api.get_hypernetworks, "name", "path"))
works("get_face_restorers", listed(api.get_face_restorers, "name", "cmd_dir"))
works("get_realesrgan_models", listed(api.get_realesrgan_models, "name", "path", "scale"))
works("get_prompt_styles", listed(api.get_prompt_styles, "name", "prompt", "negative_prompt"))
works("get_scripts", has(api.get_scripts, "txt2img", "img2img"))
works("get_embeddings", has(api.get_embeddings, "loaded", "skipped"))
works("get_memory", has(api.get_memory, "ram", "cuda"))
works("refresh_checkpoints", api.refresh_checkpoints)
works("custom_get", lambda: api.custom_get("sdapi/v1/samplers")[0]["name"])
works("custom_post", lambda: api.custom_post("sdapi/v1/txt2img", small).image.size)
if AUTH:
    called.add("set_auth")
    wrong = webuiapi.WebUIApi(**given, username=user, password="wrong")
    refused("set_auth wrong password", lambda: wrong.txt2img(**small), "401", "Incorrect username")
    nobody = webuiapi.WebUIApi(**given)
    refused("txt2img without set_auth", lambda: nobody.txt2img(**small), "401", "Not authenticated")


def drawn() -> Image.Image:
    """Four quarters, each of another colour."""
    picture, half = Image.new("RGB", (SIDE, SIDE)), SIDE // 2
    for number, colour in enumerate(("red", "lime", "blue", "yellow")):
        left, top = number % 2 * half, number // 2 * half
        picture.paste(colour, (left, top, left + half, top + half))
    return picture


def from_a_picture() -> str:
    made = api.img2img(images=[red], denoising_strength=0.5, **small)
    assert made.image.size == (SIDE, SIDE), made.image.size
    assert made.image.tobytes() != red.tobytes(), "nothing was done"
    again = api.img2img(images=[red], denoising_strength=0.5, **small)
    assert again.image.tobytes() == made.image.tobytes(), "the same seed, another picture"
    other = api.img2img(images=[drawn()], denoising_strength=0.5, **small)
    assert other.image.tobytes() != made.image.tobytes(), "another picture, the same outcome"
    (infotext,) = made.info["infotexts"]
    assert "Denoising strength: 0.5" in infotext, infotext
    assert made.parameters["init_images"] is None, "pictures were echoed, unasked for"
    return infotext.replace("\n", " / ")


def from_two_pictures() -> str:
    made = api.img2img(images=[red, drawn()], batch_size=2, denoising_strength=0.1, **small)
    first, second = [each for each in made.images if each.size == (SIDE, SIDE)]
    assert first.tobytes() != second.tobytes(), "twice the same"
    assert made.info["all_seeds"] == [7, 8], made.info["all_seeds"]
    return "one picture of each"


def resized() -> str:
    wide = red.resize((2 * SIDE, SIDE))
    for mode in (0, 1, 2, 3):
        made = api.img2img(images=[wide], resize_mode=mode, denoising_strength=0.3, **small)
        assert made.image.size == (SIDE, SIDE), (mode, made.image.size)
    return "in the four resize modes"


def by_script() -> str:
    arguments = ["", 8, "Lanczos", 2.0]
    made = api.img2img(images=[drawn()], script_name="SD upscale", script_args=arguments, **small)
    assert made.image.size == (2 * SIDE, 2 * SIDE), made.image.size
    return "twice as large"


def masked(**fields: object) -> tuple[Image.Image, Image.Image]:
    """What became of the left half, which is white in the mask, and of the right one."""
    mask, picture, half = Image.new("L", (SIDE, SIDE), 0), drawn(), SIDE // 2
    mask.paste(255, (0, 0, half, SIDE))
    made = api.img2img(images=[picture], mask_image=mask, mask_blur=0, **fields, **small).image
    assert made.size == (SIDE, SIDE), made.size
    halves = (0, 0, half, SIDE), (half, 0, SIDE, SIDE)
    return tuple(ImageChops.difference(made.crop(each), picture.crop(each)) for each in halves)


def part_of_a_picture() -> str:
    for whole in (True, False):
        for fill in (0, 1, 2, 3):
            left, right = masked(inpaint_full_res=not whole, inpainting_fill=fill)
            assert right.getbbox() is None, f"fill {fill}: it painted outside the mask"
            assert left.getbbox() is not None, f"fill {fill}: nothing was done"
    return "outside the mask byte for byte as before, with four fills, whole and only masked"


def other_part_of_a_picture() -> str:
    left, right = masked(inpaint_full_res=False, inpainting_mask_invert=1)
    assert left.getbbox() is None, "it painted under what is black"
    assert right.getbbox() is not None, "nothing was done"
    return "inverted: the other half byte for byte as before"


def enlarged() -> str:
    picture = drawn()
    made = api.extra_single_image(picture, upscaler_1=webuiapi.Upscaler.Nearest, upscaling_resize=2)
    twice = picture.resize((2 * SIDE, 2 * SIDE), Image.Resampling.NEAREST)
    assert made.image.tobytes() == twice.tobytes(), "other pixels"
    assert "Postprocess upscaler: Nearest" in str(made.info), made.info
    smooth = api.extra_single_image(
        picture, upscaler_1=webuiapi.Upscaler.Lanczos, upscaling_resize=2
    )
    wanted = picture.resize((2 * SIDE, 2 * SIDE), Image.Resampling.LANCZOS)
    assert smooth.image.tobytes() == wanted.tobytes(), "other pixels"
    return str(made.info)


def to_a_size() -> str:
    sizes = {"upscaling_resize_w": 3 * SIDE, "upscaling_resize_h": 2 * SIDE}
    made = api.extra_single_image(
        drawn(), resize_mode=1, upscaler_1=webuiapi.Upscaler.Lanczos, **sizes
    )
    assert made.image.size == (3 * SIDE, 2 * SIDE), made.image.size
    return f"{made.image.size}, {made.info}"


def all_enlarged() -> str:
    given = [red, drawn()]
    made = api.extra_batch_images(given, upscaler_1=webuiapi.Upscaler.Nearest)
    wanted = [each.resize((2 * SIDE, 2 * SIDE), Image.Resampling.NEAREST) for each in given]
    assert [each.tobytes() for each in made.images] == [each.tobytes() for each in wanted]
    return "2 pictures, in their order"


def nothing_told() -> str:
    read = api.png_info(drawn())
    assert read.info == "", read.info
    return "nothing in a picture without an infotext"


works("img2img", from_a_picture)
works("img2img from two pictures", from_two_pictures)
works("img2img resized", resized)
works("img2img by a script", by_script)
works("img2img with a mask", part_of_a_picture)
works("img2img with an inverted mask", other_part_of_a_picture)
works("extra_single_image", enlarged)
works("extra_single_image to a size", to_a_size)
works("png_info of any picture", nothing_told)
works("extra_batch_images", all_enlarged)


def words() -> str:
    caption = api.interrogate(red).info
    assert "red" in caption, caption
    return caption


works("interrogate", words)

unit = webuiapi.ControlNetUnit(image=red)
refused(
    "txt2img ControlNet", lambda: api.txt2img(**small, controlnet_units=[unit]), "422", "not found"
)
# Where the library passes {} as default and then writes into it, the next calls carry it too.
clean = {"alwayson_scripts": {}}
detailer = webuiapi.ADetailer()
refused("txt2img ADetailer", lambda: api.txt2img(**small, **clean, adetailer=[detailer]), "422")

ABSENT = "Not Found"  # and where the library does not look at the status, it misses a member
for name in ("get_artists", "get_artist_categories"):
    refused(name, getattr(api, name), ABSENT)
refused("prompt_gen", api.prompt_gen, "404", ABSENT)
refused("controlnet_detect", lambda: api.controlnet_detect([red]), "404", ABSENT)
refused("list_prompt_gen_models", api.list_prompt_gen_models, "KeyError")
refused("controlnet_version", api.controlnet_version, "KeyError")
refused("controlnet_model_list", api.controlnet_model_list, "KeyError")
refused("controlnet_module_list", api.controlnet_module_list, "KeyError")
pix2pix = webuiapi.InstructPix2PixInterface(api)
refused("(InstructPix2Pix)", lambda: pix2pix.img2img(images=[red]), "404", ABSENT)
refused("(RemBG)", lambda: webuiapi.RemBGInterface(api).rembg(input_image=red), "404", ABSENT)
refused("(Tagger)", lambda: webuiapi.TaggerInterface(api).tagger_interrogate(red), "404", ABSENT)
refused("(SegmentAnything)", webuiapi.SegmentAnythingInterface(api).heartbeat, ABSENT)
refused("(ModelKeyword)", webuiapi.ModelKeywordInterface(api).get_keywords, "KeyError")
refused("(ControlNet)", webuiapi.ControlNetInterface(api, False).model_list, "KeyError")


def all_tried() -> str:
    members = vars(webuiapi.WebUIApi)
    methods = {name for name, value in members.items() if callable(value) and name[0] != "_"}
    untried = methods - called - {"get_endpoint"} - (set() if AUTH else {"set_auth"})
    assert not untried, f"not tried: {sorted(untried)}"
    return f"{len(methods)} methods of WebUIApi"


report.works("(every method was tried)", all_tried)
report.end()
