"""What a request amounts to, checked against `JobLimits` before anything large is built.

The lengths of texts are checked first, then the number of pictures with their sizes and steps, and
last the prompts, since those are multiplied by all of it.
"""

from collections.abc import Sequence

from hexfusion.application.planning.texts import Prompts
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest, Img2Img
from hexfusion.domain.job_limits import TEXTS, JobAmount, JobLimits, size_of_arguments, text_bytes
from hexfusion.domain.picture_boxes import Size

MAX_NAME = 4096
"""Bytes of a field that names something, such as a sampler."""
MAX_STYLES = 256
"""Styles that one request may apply."""

PICTURES = ("init_images", "mask", "latent_mask", "firstpass_image")
"""Fields that hold pictures, which are bounded elsewhere."""
ARGUMENTS = ("script_args", "override_settings", "alwayson_scripts", "comments")

LATENT = 3
"""The resize mode that leaves the picture's own size to the result under a mask."""

PER_PICTURE = 2048
"""Bytes of a reply for each picture besides its prompts: parameters, seeds."""
COPIES = 4
"""Bytes of a reply for each byte of a prompt: it is in two lists, and escaped in both."""


def check_texts(request: AnyRequest, limits: JobLimits) -> None:
    """Raises `InvalidRequest` for the first text, or arguments, that are too long."""
    for field in request.__struct_fields__:
        value = getattr(request, field)
        if field in PICTURES or value is None:
            continue
        if field in TEXTS:
            limits.check_prompt(field, text_bytes(value))
        elif isinstance(value, str) and text_bytes(value) > MAX_NAME:
            raise InvalidRequest(field, f"has more than {MAX_NAME} bytes")
        elif field in ARGUMENTS:
            limits.check_arguments(field, size_of_arguments(value, limits.arguments))
        elif field == "styles":
            _check_styles(value)


def _check_styles(names: Sequence[str]) -> None:
    if len(names) > MAX_STYLES:
        raise InvalidRequest("styles", f"has {len(names)} names; at most {MAX_STYLES} are applied")
    if any(text_bytes(name) > MAX_NAME for name in names):
        raise InvalidRequest("styles", f"a name has more than {MAX_NAME} bytes")


def check_pictures(
    request: AnyRequest,
    limits: JobLimits,
    *,
    at_once: int,
    size: Size,
    steps: int,
    field: str = "width",
) -> JobAmount:
    """What the pictures of a request amount to, without their texts.

    `at_once` is the number of pictures in a batch, `size` that of the finished pictures (width,
    height), which `field` sets; `steps` are those of all passes of one picture. Raises
    `InvalidRequest` beyond the limits.
    """
    count = at_once * request.n_iter
    amount = JobAmount(pictures=count, pixels=count * size[0] * size[1], steps=count * steps)
    limits.check(amount)
    limits.check_picture(size, field)
    limits.check_batch(size, at_once)
    return amount


def check_prompts(
    amount: JobAmount, prompts: Sequence[Prompts], steps: int, limits: JobLimits
) -> JobAmount:
    """The amount with the prompts of each pass added. Raises `InvalidRequest` for too many.

    `steps` are those of all passes of one picture: a prompt that changes from step to step becomes
    as many texts.
    """
    sizes: dict[str, int] = {}
    total = 0
    for each in (text for those in prompts for text in (*those.positive, *those.negative)):
        if each not in sizes:
            sizes[each] = text_bytes(each)
        total += sizes[each]
    amount += JobAmount(text=total)
    limits.check(amount)
    changing = sum(size * most_texts(text, steps) for text, size in sizes.items())
    if changing > limits.text:
        message = "changes from step to step into more text than a job may have (--job-text)"
        raise InvalidRequest("prompt", message)
    return amount


def most_texts(prompt: str, steps: int) -> int:
    """How many texts a prompt may become: one more with each edit, one each step if it alternates.

    A sampler may call the network twice in a step.
    """
    edits = prompt.count("[")
    return 2 * steps if edits and "|" in prompt else min(2 * steps, 1 + edits)


def reply_bytes(amount: JobAmount, format: str, *, sends: bool, masks: int = 0) -> int:
    """About the most bytes that a reply with this amount takes.

    `format` is option samples_format. A PNG of noise takes all of its pixels' three bytes, which in
    base64 are four. With `masks` so many more pictures are sent for each. Without `sends` no
    picture is.
    """
    each = 4 if format.lower() == "png" else 2
    pixels = amount.pixels * each * (1 + masks) if sends else 0
    return pixels + amount.text * COPIES + amount.pictures * PER_PICTURE


def steps_of(request: AnyRequest) -> int:
    """The sampling steps of one picture, of both passes."""
    if isinstance(request, Txt2Img) and request.enable_hr:
        return request.steps + (request.hr_second_pass_steps or request.steps)
    return request.steps


def result_size(request: Img2Img, pictures: Sequence[Size], *, masked: bool) -> Size:
    """The size (width, height) of img2img's results; of several, the largest.

    Under a mask the result may have its picture's own size.
    """
    size = request.width, request.height
    if masked and (request.inpaint_full_res or request.resize_mode == LATENT):
        size = max((size, *pictures), key=lambda each: each[0] * each[1])
    return size
