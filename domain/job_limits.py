"""Bounds on what one job may make and spend, and what a planned job amounts to.

A1111 has none: there a request of a few kilobytes can ask for more than any machine has. The
defaults let through what A1111's own interface can ask for, and keep any one job below 2 GiB of
memory. Each bound is a flag (`domain/flags/limits.py`); errors name it.
"""

from collections.abc import Iterator, Mapping

import msgspec

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.picture_boxes import Size

MEGAPIXEL = 1 << 20
"""Pixels in a megapixel as flags count them: 1024 x 1024."""

TEXTS = ("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt", "infotext")
"""Fields of a request that are long texts; `JobLimits.prompt` bounds each."""
INFOTEXT = "infotext"
"""The one that holds several prompts."""


class JobAmount(msgspec.Struct, frozen=True, kw_only=True):
    """What a job amounts to: sums over all of its pictures.

    `pixels` are those of the finished pictures, `steps` the sampling steps of all passes of all
    pictures, `text` the UTF-8 bytes of their prompts, styles applied, `reply` the bytes of the
    reply, at most.
    """

    pictures: int = 0
    pixels: int = 0
    steps: int = 0
    text: int = 0
    reply: int = 0

    def __add__(self, other: "JobAmount") -> "JobAmount":
        return JobAmount(
            pictures=self.pictures + other.pictures,
            pixels=self.pixels + other.pixels,
            steps=self.steps + other.steps,
            text=self.text + other.text,
            reply=self.reply + other.reply,
        )

    def __mul__(self, times: int) -> "JobAmount":
        return JobAmount(
            pictures=self.pictures * times,
            pixels=self.pixels * times,
            steps=self.steps * times,
            text=self.text * times,
            reply=self.reply * times,
        )


NOTHING = JobAmount()


class JobFields(msgspec.Struct, frozen=True, kw_only=True):
    """The request's field that an error names for each bound."""

    pictures: str = "n_iter"
    pixels: str = "width"
    steps: str = "steps"
    text: str = "prompt"
    reply: str = "send_images"

    @classmethod
    def all(cls, field: str) -> "JobFields":
        """One field for all of them, such as a script's arguments."""
        return cls(**dict.fromkeys(cls.__struct_fields__, field))


FIELDS = JobFields()


class JobLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of each job. `seconds` is running time, `reply` and texts are in bytes.

    `batch_pixels` bounds the pictures that are made at the same time, which are all in memory;
    `picture_pixels` one picture, be it made, enlarged or a grid. `prompt` bounds each prompt
    (UTF-8, styles applied), `text` those of all pictures together, `arguments` what scripts and
    options are given in one request.
    """

    pictures: int = 4096
    pixels: int = 4096 * MEGAPIXEL
    batch_pixels: int = 32 * MEGAPIXEL
    picture_pixels: int = 64 * MEGAPIXEL
    steps: int = 500_000
    seconds: int = 86_400
    reply: int = 4096 << 20
    text: int = 32 << 20
    prompt: int = 64 << 10
    arguments: int = 4096 << 10

    def check(self, amount: JobAmount, fields: JobFields = FIELDS) -> None:
        """Raises `InvalidRequest` for a job that amounts to more, naming a field and the flag."""
        for what, made, most, words, flag in self._bounds(amount):
            if made > most:
                message = f"the job would have {words}; it may have {_of(most, flag)}"
                raise InvalidRequest(getattr(fields, what), f"{message} ({_FLAGS[flag]})")

    def _bounds(self, amount: JobAmount) -> Iterator[tuple[str, int, int, str, str]]:
        yield "pictures", amount.pictures, self.pictures, f"{amount.pictures} pictures", "pictures"
        yield "steps", amount.steps, self.steps, f"{amount.steps} steps, of all pictures", "steps"
        pixels = f"{_rounded_up(amount.pixels, MEGAPIXEL)} megapixels"
        yield "pixels", amount.pixels, self.pixels, pixels, "pixels"
        text = f"{_rounded_up(amount.text, 1 << 20)} MiB of prompts, each counted for each picture"
        yield "text", amount.text, self.text, text, "text"
        reply = f"a reply of up to {_rounded_up(amount.reply, 1 << 20)} MiB"
        yield "reply", amount.reply, self.reply, reply, "reply"

    def check_picture(self, size: Size, field: str) -> None:
        """Raises `InvalidRequest` for a result of `size` (width, height) that is too large."""
        if not self.allows(size):
            most = _of(self.picture_pixels, "picture_pixels")
            message = f"would make {size[0]}x{size[1]}; a picture may have {most}"
            raise InvalidRequest(field, f"{message} ({_FLAGS['picture_pixels']})")

    def allows(self, size: Size) -> bool:
        """Whether one picture may be as large as `size` (width, height)."""
        return size[0] * size[1] <= self.picture_pixels

    def check_batch(self, size: Size, count: int, field: str = "batch_size") -> None:
        """Raises `InvalidRequest` if `count` pictures of that size are too many for one batch."""
        if size[0] * size[1] * count > self.batch_pixels:
            message = f"{count} pictures of {size[0]}x{size[1]} are too large to be made together"
            most = f"a batch may have {_of(self.batch_pixels, 'batch_pixels')}"
            raise InvalidRequest(field, f"{message}; {most} ({_FLAGS['batch_pixels']})")

    def check_prompt(self, field: str, size: int) -> None:
        """Raises `InvalidRequest` for a text of `size` bytes that is too long."""
        most = self._of_text(field)
        if size > most:
            message = f"has {size} bytes; it may have {_of(most, 'prompt')}"
            raise InvalidRequest(field, f"{message} ({_FLAGS['prompt']})")

    def _of_text(self, field: str) -> int:
        """The most bytes of a field; an infotext has four prompts, and more."""
        return 5 * self.prompt if field == INFOTEXT else self.prompt

    def check_arguments(self, field: str, size: int) -> None:
        """Raises `InvalidRequest` for arguments of `size` bytes; see `size_of_arguments`."""
        if size > self.arguments:
            message = f"has {size} bytes or more; it may have {_of(self.arguments, 'arguments')}"
            raise InvalidRequest(field, f"{message} ({_FLAGS['arguments']})")

    def maxima(self) -> Mapping[str, Mapping[str, int]]:
        """JSON schema keywords that these bounds add to a request's fields."""
        return {
            "batch_size": {"maximum": self.pictures},
            "n_iter": {"maximum": self.pictures},
            "steps": {"maximum": self.steps},
            **{name: {"maxLength": self._of_text(name)} for name in TEXTS},
        }


DEFAULT_LIMITS = JobLimits()

_FLAGS = {
    "pictures": "--job-pictures",
    "pixels": "--job-pixels",
    "batch_pixels": "--batch-pixels",
    "picture_pixels": "--picture-pixels",
    "steps": "--job-steps",
    "reply": "--job-reply",
    "text": "--job-text",
    "prompt": "--prompt-size",
    "arguments": "--argument-size",
}
_UNITS = {
    "pixels": (MEGAPIXEL, "megapixels"),
    "batch_pixels": (MEGAPIXEL, "megapixels"),
    "picture_pixels": (MEGAPIXEL, "megapixels"),
    "reply": (1 << 20, "MiB"),
    "text": (1 << 20, "MiB"),
    "prompt": (1 << 10, "KiB"),
    "arguments": (1 << 10, "KiB"),
}


def _of(most: int, what: str) -> str:
    """A bound in the unit of its flag."""
    unit, name = _UNITS.get(what, (1, ""))
    return f"{most / unit:g} {name}".rstrip()


def _rounded_up(amount: int, unit: int) -> int:
    return -(-amount // unit)


def size_of_arguments(value: object, most: int) -> int:
    """About the bytes of a JSON value: texts by their UTF-8, 8 for each other value.

    Counting stops soon after `most` is passed; no recursion, so any depth will do.
    """
    size, rest = 0, [value]
    while rest and size <= most:
        each = rest.pop()
        size += 8
        if isinstance(each, str):
            size += text_bytes(each)
        elif isinstance(each, list | tuple):
            if len(each) * 8 > most:
                return size + len(each) * 8
            rest += each
        elif isinstance(each, Mapping):
            if len(each) * 8 > most:
                return size + len(each) * 8
            rest += each
            rest += each.values()
    return size


def text_bytes(text: str) -> int:
    """The length of a text in UTF-8; half of a surrogate pair counts as three bytes."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
