"""Recorded txt2img requests again: is it the recorded picture, and the recorded infotext?

python -m benchmarks.goldens [SECTION ...] [--listed] [--threads N] [--json FILE]

Sections are folders of the recordings; without any: default, samplers, schedulers. Exit status 1 if
a case with one of the listed samplers and schedules is further off than 2/255, or its infotext
differs.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops
from rich.table import Table

import bootstrap
from adapters.http.app import Services
from adapters.http.wire import Refused, as_struct
from benchmarks import harness
from domain.errors import HexfusionError
from domain.generation import Txt2Img

SECTIONS = ("default", "samplers", "schedulers")
#: What has to agree. Other samplers and schedules are shown, but not held to it.
SAMPLERS = ("Euler", "Euler a", "DPM++ 2M", "DPM++ SDE", "Heun", "DDIM")
SCHEDULES = ("Automatic", "Uniform", "Karras", "Exponential", "SGM Uniform")
#: The largest difference of any channel of any pixel, of 255 (golden/README.md).
TOLERANCE = 2


@dataclass(frozen=True)
class Recording:
    """A txt2img request, and the pictures and infotexts it was answered with."""

    name: str
    request: Mapping[str, Any]
    pictures: tuple[Path, ...]
    infotexts: tuple[str, ...]

    @property
    def sampler(self) -> str:
        return _fact(self.infotexts[0], "Sampler")

    @property
    def schedule(self) -> str:
        return _fact(self.infotexts[0], "Schedule type")

    @property
    def listed(self) -> bool:
        return self.sampler in SAMPLERS and self.schedule in SCHEDULES


@dataclass(frozen=True)
class Replay:
    """A recording against what we make of it. `difference` is None where there is no picture."""

    name: str
    sampler: str
    schedule: str
    listed: bool
    difference: int | None
    same_infotext: bool
    note: str = ""

    @property
    def good(self) -> bool:
        return self.difference is not None and self.difference <= TOLERANCE and self.same_infotext


def _fact(infotext: str, name: str) -> str:
    found = re.search(rf"\b{name}: ([^,]+)", infotext.rpartition("\n")[2])
    return found[1] if found else ""


def recording(path: Path) -> Recording | None:
    """The recording in a file; None if it is not of a txt2img that can be made again."""
    case = json.loads(path.read_text("utf-8"))
    asked = case["request"]
    request = asked.get("json")
    if asked["path"] != "/sdapi/v1/txt2img" or case["status"] != 200:
        return None
    if not isinstance(request, dict) or drawn_by_lot(request) or not case["body"]["images"]:
        return None
    images = case["body"]["images"]
    return Recording(
        name=f"{path.parent.name}/{path.stem}",
        request=request,
        pictures=tuple(path.parent / image["$file"] for image in images),
        infotexts=tuple(image["text"].get("parameters", "") for image in images),
    )


def drawn_by_lot(request: Mapping[str, Any]) -> bool:
    """Whether a seed of the request is random, so that no picture is made twice."""

    def random(field: str) -> bool:
        return request.get(field) in (None, -1, "-1")

    return random("seed") or (bool(request.get("subseed_strength")) and random("subseed"))


def recordings(folder: Path, sections: Sequence[str]) -> Iterator[Recording]:
    """All that can be made again, by section and name. Raises FileNotFoundError."""
    for section in sections:
        if not (folder / section).is_dir():
            raise FileNotFoundError(folder / section)
        for path in sorted((folder / section).glob("*.json")):
            found = recording(path)
            if found:
                yield found


def replay(use: Services, case: Recording) -> Replay:
    """Make the pictures again and compare them."""

    def told(difference: int | None, same_infotext: bool, note: str = "") -> Replay:
        facts = (case.name, case.sampler, case.schedule, case.listed)
        return Replay(*facts, difference, same_infotext, note)

    try:
        result = use.txt2img(as_struct(case.request, Txt2Img), abandoned=lambda: False)
    except (HexfusionError, Refused) as error:
        return told(None, False, f"{type(error).__name__}: {error}")
    infotexts = tuple(each.infotext for each in result.pictures)
    if len(infotexts) != len(case.pictures):
        return told(None, False, f"{len(infotexts)} pictures, not {len(case.pictures)}")
    pairs = zip(result.pictures, case.pictures, strict=True)
    differences = [difference(each.image, path) for each, path in pairs]
    same = infotexts == case.infotexts
    note = "" if same else first_difference(infotexts, case.infotexts)
    return told(max(differences), same, note)


def difference(picture: Image.Image, recorded: Path) -> int:
    """The largest difference of any channel of any pixel, 0 to 255; 255 for another size."""
    with Image.open(recorded) as expected:
        if expected.size != picture.size:
            return 255
        return max(ImageChops.difference(picture, expected.convert("RGB")).tobytes())


def first_difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    for our, their in zip(ours, theirs, strict=True):
        for at, (a, b) in enumerate(zip(f"{our}\0", f"{their}\0", strict=False)):
            if a != b:
                start = max(0, at - 10)
                return f"{our[start : at + 30]!r}, not {their[start : at + 30]!r}"
    return ""


def table_of(replays: Sequence[Replay]) -> Table:
    table = Table(title="against the recordings of A1111 v1.10.1")
    for column in ("case", "sampler", "schedule", "listed"):
        table.add_column(column, no_wrap=True)
    table.add_column("largest difference", justify="right")
    table.add_column("infotext")
    table.add_column("", overflow="fold")
    for each in replays:
        colour = "green" if each.good else "red"
        off = "-" if each.difference is None else f"{each.difference}/255"
        table.add_row(
            each.name, each.sampler, each.schedule, "yes" if each.listed else "",
            f"[{colour}]{off}[/]", "equal" if each.same_infotext else "[red]differs[/]", each.note,
        )  # fmt: skip
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION")
    parser.add_argument("--listed", action="store_true", help="only listed samplers and schedules")
    parser.add_argument("--threads", type=int, help="of torch; default: torch's choice")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    flags = ["--threads", str(arguments.threads)] if arguments.threads else []
    cases = recordings(harness.RECORDINGS, arguments.sections or SECTIONS)
    wanted = [case for case in cases if case.listed or not arguments.listed]
    with tempfile.TemporaryDirectory() as folder:
        data = harness.data_directory(Path(folder), harness.TINY)
        use = bootstrap.build([*flags, "--data-dir", str(data)])
        replays = [replay(use, case) for case in wanted]
    console = harness.console()
    console.print(table_of(replays))
    listed = [each for each in replays if each.listed]
    good = sum(each.good for each in listed)
    others = [each for each in replays if not each.listed]
    console.print(
        f"{good} of {len(listed)} listed cases agree"
        + (f", {sum(each.good for each in others)} of {len(others)} others" if others else "")
    )
    harness.save(arguments.json, {"cases": [asdict(each) for each in replays]})
    return 0 if listed and good == len(listed) else 1


if __name__ == "__main__":
    sys.exit(main())
