"""Malformed and odd pictures to a running server: each answered or refused, never its failure?

python -m benchmarks.hostile_pictures [--only KIND ...] [--every N] [--torch] [--show] [--json FILE]

Every picture goes to every route that takes one, by HTTP: as the picture to start from, as a mask,
to both extras, to png-info and to interrogate. An answer has to hold a picture of the right size
(and the right way up, where that shows), a refusal has to be a 4xx that names the field; what is
sound must not be refused, what is no picture must not be answered. After each kind a good request
is made again. The backend is the fake one unless --torch: then the shipped checkpoint, one step.
Exit status 1 if anything is otherwise.
"""

import argparse
import base64
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from PIL import Image
from rich.markup import escape
from rich.table import Table

from benchmarks import harness
from benchmarks.broken_pictures import BROKEN
from benchmarks.harness import Client, Reply, order
from benchmarks.odd_pictures import ODD, Odd, encoded, quarters

#: Sides of generated pictures, and the multiple that extras round to, pixels.
SIDE, CELL = 64, 8
#: The longest side of a picture that is worked on as it is, pixels.
LARGEST = 4096
#: Seconds of the server's processor that an answer may take, and seconds to wait for it.
PATIENCE, SILENCE = 30.0, 300.0
#: How many times longer than wide a picture may be before a resize mode may refuse it.
NARROW = 64
#: How far a colour may be off after a lossy format, of 255.
NEAR = 60

SOUND = base64.b64encode(encoded(quarters((SIDE, SIDE)), "PNG")).decode("ascii")


@dataclass(frozen=True)
class Route:
    """Where a picture can be sent. `fields` are those a refusal may name.

    `body(number, text)` varies with the number. `complaint(odd, json)` says what is wrong with an
    answer. `pixels`: it looks at them, so that a file without them must be refused.
    """

    name: str
    path: str
    fields: tuple[str, ...]
    body: Callable[[int, str], object]
    complaint: Callable[[Odd, dict], str | None]
    pixels: bool = True


def from_picture(number: int, text: str) -> object:
    options: dict[str, object] = {"img2img_color_correction": number % 7 == 0}
    if number % 5 == 0:
        options["upscaler_for_img2img"] = ("Lanczos", "Nearest")[number % 2]
    return order(
        init_images=[text],
        steps=1,
        denoising_strength=0.5,
        resize_mode=number % 4,
        include_init_images=number % 11 == 0,
        override_settings=options,
    )


def under_mask(number: int, text: str) -> object:
    return order(
        init_images=[SOUND],
        mask=text,
        steps=1,
        resize_mode=number % 4,
        inpaint_full_res=number % 2 == 0,
        inpaint_full_res_padding=(0, 32)[number % 3 == 0],
        inpainting_fill=number // 2 % 4,
        inpainting_mask_invert=number // 3 % 2,
        mask_blur=(0, 4, 64)[number % 3],
        mask_round=number % 5 != 0,
    )


def enlarged(number: int, text: str) -> object:
    name = ("Lanczos", "Nearest")[number % 2]
    return {"image": text, "upscaler_1": name, "upscaling_resize": 1}


def all_enlarged(number: int, text: str) -> object:
    pictures = [{"data": each, "name": "x"} for each in (text, SOUND)]
    return {"imageList": pictures, "upscaler_1": "Lanczos", "upscaling_resize": 1}


def opened(text: str) -> Image.Image:
    """The picture in an answer; raises what Pillow raises if it is none."""
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    picture.load()
    return picture


def generated(odd: Odd, body: dict) -> str | None:
    (picture,) = map(opened, body["images"])
    return None if picture.size == (SIDE, SIDE) else f"{picture.size}"


def kept(odd: Odd, text: str) -> str | None:
    """What is wrong with a picture that was to come back as it was."""
    picture = opened(text)
    if odd.size and picture.size != tuple(max(CELL, side // CELL * CELL) for side in odd.size):
        return f"{picture.size}, not {odd.size}"
    if odd.corner:
        seen = picture.convert("RGB").getpixel((2, 2))
        if max(abs(a - b) for a, b in zip(seen, odd.corner, strict=True)) > NEAR:
            return f"{seen} left above, not {odd.corner}"
    return None


def both_kept(odd: Odd, body: dict) -> str | None:
    first, second = body["images"]
    return kept(odd, first) or (None if opened(second).size == (SIDE, SIDE) else "the other one")


def told(odd: Odd, body: dict) -> str | None:
    return None if body.keys() == {"info", "items", "parameters"} else f"{sorted(body)}"


def captioned(odd: Odd, body: dict) -> str | None:
    return None if isinstance(body.get("caption"), str) and body["caption"] else f"{body}"


ROUTES = (
    Route("img2img", "/sdapi/v1/img2img", ("init_images",), from_picture, generated),
    Route("img2img mask", "/sdapi/v1/img2img", ("mask",), under_mask, generated),
    Route(
        "extra-single-image", "/sdapi/v1/extra-single-image", ("image",), enlarged,
        lambda odd, body: kept(odd, body["image"]),
    ),
    Route(
        "extra-batch-images", "/sdapi/v1/extra-batch-images", ("imageList",), all_enlarged,
        both_kept,
    ),
    Route(
        "png-info", "/sdapi/v1/png-info", ("image",), lambda _, text: {"image": text}, told,
        pixels=False,
    ),
    Route(
        "interrogate", "/sdapi/v1/interrogate", ("image",), lambda _, text: {"image": text},
        captioned,
    ),
)  # fmt: skip


def complaint(odd: Odd, route: Route, reply: Reply, seconds: float) -> str | None:
    """What is wrong with the answer to a picture, if anything. `seconds`: what it took."""
    if seconds > PATIENCE:
        return f"took {seconds:.0f} s"
    if reply.status == 200:
        if odd.answered is False and (route.pixels or odd.kind in ("no pictures", "texts")):
            return "answered, though it is no picture"
        try:
            return route.complaint(odd, reply.json())
        except Exception as error:  # whatever is wrong with what came
            return f"answered with {error!r}"
    if not 400 <= reply.status < 500:
        return f"{reply.status} {reply.body[:200].decode('utf-8', 'replace')}"
    if odd.answered and not _may_refuse(odd, reply):
        return f"refused: {reply.body[:200].decode('utf-8', 'replace')}"
    return None if names(reply, route.fields) else f"names no field: {reply.body[:200]!r}"


def _may_refuse(odd: Odd, reply: Reply) -> bool:
    """Whether a sound picture cannot become what was asked for: it is too narrow, or too small or
    large for its latent to be resized in place of itself."""
    width, height = odd.size or (SIDE, SIDE)
    if b"in resize mode 3" in reply.body:
        return min(width, height) < CELL or max(width, height) > LARGEST
    narrow = max(width, height) > NARROW * min(width, height)
    return narrow and b"cannot become" in reply.body


def names(reply: Reply, fields: Sequence[str]) -> bool:
    """Whether a refusal says which field it is about."""
    try:
        return any(problem["loc"][-1] in fields for problem in reply.json()["detail"])
    except (ValueError, LookupError, TypeError):
        return False


@dataclass
class Tally:
    """What became of the pictures of one kind, over all routes. Memory in MiB, seconds of the
    server's processor."""

    kind: str
    pictures: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_is: str = ""
    peak: int = 0
    wrong: list[str] = field(default_factory=list)


class Sender:
    """Sends pictures to a server, and asks whether it still does what it did at first."""

    def __init__(self, port: int, process: int | None = None) -> None:
        self._port = port
        self._process = process
        self._client = Client(port, timeout=SILENCE)
        self.routes = [each for each in ROUTES if self._is_there(each)]
        self._good = self._ask("/sdapi/v1/txt2img", order())

    def _ask(self, path: str, body: object) -> Reply | None:
        """None where the connection broke, or no answer came."""
        try:
            return self._client.ask("POST", path, body)
        except OSError:
            return None
        except Exception:  # http.client's, of answers that are none
            return None

    def _is_there(self, route: Route) -> bool:
        reply = self._ask(route.path, route.body(0, SOUND))
        return reply is not None and reply.status not in (404, 501)

    def tally(
        self, kind: str, pictures: Iterable[tuple[int, Odd]], routes: int | None = None
    ) -> Tally:
        """Each picture to each route; with `routes`, to so many, by turns."""
        result = Tally(kind)
        self._forget_peak()
        for number, odd in pictures:
            result.pictures += 1
            chosen = self.routes
            if routes is not None:
                start = number % len(chosen)
                chosen = [*chosen[start:], *chosen[:start]][:routes]
            for route in chosen:
                self._send(number, odd, route, result)
        good = self._ask("/sdapi/v1/txt2img", order())
        if not _same_pictures(good, self._good):
            result.wrong.append("afterwards: another picture than before")
        result.peak = self._peak()
        return result

    def _send(self, number: int, odd: Odd, route: Route, result: Tally) -> None:
        started = self._seconds()
        reply = self._ask(route.path, route.body(number, odd.text))
        seconds = self._seconds() - started
        result.seconds += seconds
        if seconds > result.slowest:
            result.slowest, result.slowest_is = seconds, f"{route.name}: {odd.name}"
        if reply is None:
            result.failed += 1
            result.wrong.append(f"{route.name}: {odd.name}: no answer")
            return
        if reply.status >= 500:
            result.failed += 1
        elif reply.status >= 400:
            result.refused += 1
        else:
            result.answered += 1
        if wrong := complaint(odd, route, reply, seconds):
            result.wrong.append(f"{route.name}: {odd.name}: {wrong}")

    def _seconds(self) -> float:
        """Of the server's processor, since what else the machine does is none of its fault; by the
        clock where it is no process of its own."""
        if self._process is None:
            return time.perf_counter()
        times = psutil.Process(self._process).cpu_times()
        return times.user + times.system

    def _forget_peak(self) -> None:
        if self._process is not None:
            Path(f"/proc/{self._process}/clear_refs").write_text("5")

    def _peak(self) -> int:
        """MiB of memory that the server had at most since it was forgotten; 0 if nobody knows."""
        if self._process is None:
            return 0
        lines = Path(f"/proc/{self._process}/status").read_text().splitlines()
        (line,) = [each for each in lines if each.startswith("VmHWM:")]
        return int(line.split()[1]) // 1024


def _same_pictures(one: Reply | None, other: Reply | None) -> bool:
    if one is None or other is None or one.status != 200 or other.status != 200:
        return False
    return bool(one.json()["images"] == other.json()["images"])


def pictures_by_kind(
    kinds: Sequence[str] = (), every: int = 1
) -> Iterator[tuple[str, list[tuple[int, Odd]]]]:
    """The pictures with their numbers; of each kind, every so manieth. None made in vain."""
    for kind in kinds or KINDS:
        numbered = list(enumerate(MAKERS[kind]()))
        yield kind, numbered[::every]


MAKERS: Mapping[str, Callable[[], Iterator[Odd]]] = {**ODD, **BROKEN}
KINDS = tuple(MAKERS)


def table_of(tallies: Sequence[Tally], routes: Sequence[Route]) -> Table:
    table = Table(title=f"odd and malformed pictures, to {len(routes)} routes each")
    columns = (
        "kind", "pictures", "answered", "refused", "5xx or silent", "wrong", "CPU s", "slowest",
        "peak MiB",
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "kind" else "right", no_wrap=True)
    whole = Tally("all")
    for each in tallies:
        table.add_row(*_row(each))
        for name in ("pictures", "answered", "refused", "failed", "seconds"):
            setattr(whole, name, getattr(whole, name) + getattr(each, name))
        whole.wrong += each.wrong
        whole.slowest, whole.peak = max(whole.slowest, each.slowest), max(whole.peak, each.peak)
    table.add_section()
    table.add_row(*_row(whole))
    return table


def _row(each: Tally) -> list[str]:
    wrong = f"[bold red]{len(each.wrong)}[/]" if each.wrong else "0"
    failed = f"[bold red]{each.failed}[/]" if each.failed else "0"
    counts = [each.kind, str(each.pictures), str(each.answered), str(each.refused), failed, wrong]
    return [*counts, f"{each.seconds:.1f}", f"{each.slowest:.2f}", str(each.peak)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=(), metavar="KIND")
    parser.add_argument("--every", type=int, default=1, help="of each kind, every Nth", metavar="N")
    parser.add_argument("--torch", action="store_true", help="over the shipped checkpoint")
    parser.add_argument("--show", action="store_true", help="which was slowest")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    console = harness.console()
    flags = ("--threads", "1") if arguments.torch else ("--backend", "fake")
    with tempfile.TemporaryDirectory() as folder:
        sound = [harness.STARTER] if arguments.torch else []
        data = harness.data_directory(Path(folder), *sound)
        with harness.server(data, *flags) as running:
            sender = Sender(running.port, running.process.pid)
            tallies = []
            for kind, pictures in pictures_by_kind(arguments.only, arguments.every):
                tallies.append(sender.tally(kind, pictures))
                if running.process.poll() is not None:
                    tallies[-1].wrong.append("the server is dead")
                    break
    console.print(table_of(tallies, sender.routes))
    for each in tallies:
        for line in each.wrong:
            console.print(f"[bold red]{each.kind}[/]: {escape(line)}", highlight=False)
        if arguments.show:
            console.print(f"{each.kind}, slowest: {escape(each.slowest_is)}", highlight=False)
    harness.save(arguments.json, {"kinds": [asdict(each) for each in tallies]})
    return 1 if any(each.wrong for each in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
