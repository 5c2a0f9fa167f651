"""Recorded A1111 requests again: is it the recorded picture, and the recorded infotext?

python -m benchmarks.fidelity [SECTION ...] [--recordings DIR] [--data DIR] [--threads N]
                              [--only PATTERN] [--uses FEATURE ...] [--json FILE]
                              [-- SERVER FLAGS]

SECTIONs are folders of the recordings; without any: all. Where ../shared is absent, the recordings
that ship are replayed (tests/golden/starter). What was recorded on the starter checkpoint is made
with it. `--uses` picks those that use certain files, or `networks` for all of them
(benchmarks/features.py). What is no answered txt2img, img2img or extras is left out, and counted.
Exit status 1 if a case is further off than 2/255 or what is told of it differs, and nothing
explains it; 2 if nothing was replayed.
"""

import argparse
import io
import json
import math
import os
import re
import shutil
import sys
import tempfile
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from falcon.testing import TestClient
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import harness
from benchmarks.features import FEATURES, features_of
from benchmarks.recordings import EXTRAS, Out, Recording, psnr, read_all
from hexfusion import bootstrap
from hexfusion.application.pictures.picture_files import read_infotext
from hexfusion.domain.flags import parse_flags

#: The largest difference of any channel of any pixel, of 255 (golden/README.md).
TOLERANCE = 2

UNKNOWN_SAMPLER = "meant difference: an unknown sampler is 400"
NO_SCRIPT = re.compile(r"422 Script '.*' not found")
UNMENDED = "meant difference: the recorded server had no weights, and said it mended faces"
#: A JPEG keeps multiples of up to 40/255: one that was nearly rounded the other way is no miss.
JPEG, JPEG_PSNR = "JPEG: a last bit of a pixel moved a coefficient by one step", 45
#: Recordings that we miss, and why. Others are explained by what they ask for (`explanation`).
KNOWN = {
    "samplers/DPM_adaptive": (
        "a last bit of an answer decides whether it accepts a step: see benchmarks.last_bit"
    ),
    "names/02_euler_a__Karras": "meant difference: case does not hide a sampler",
    "names/09_Nope__None": UNKNOWN_SAMPLER,
    "names/10_Nope_Karras__None": UNKNOWN_SAMPLER,
    "errors/bad_sampler": UNKNOWN_SAMPLER,
    "errors/bad_sampler_index": UNKNOWN_SAMPLER,
    "errors/sampler_int": UNKNOWN_SAMPLER,
    "img2img/colorcorr": (
        "matching colours makes steps of differences of 1/255: from A1111's own picture it is 1/255"
    ),
    "errors/i2i_resize9": "meant difference: an unknown resize mode is 422",
    "errors/i2i_bad_sampler": UNKNOWN_SAMPLER,
    "rest/use_created_emb": "embedding apitest is not among the recordings' files",
    **dict.fromkeys(
        (
            "create/use_emb_cat",
            "create/use_emb_zero",
            "create/use_hn_default",
            "train/use_trained_emb",
            "train/use_trained_emb2",
            "train/use_trained_hn",
        ),
        "it uses what was created or trained before it, which cannot be done here yet",
    ),
    "scripts/i2i_outpaint_mk2_all": (
        "meant difference: A1111 lost the picture to 0 / 0; see tests/test_script_recordings"
    ),
    "fields/restore_faces": UNMENDED,
    "rest/ex_gfpgan": UNMENDED,
    "rest/ex_codeformer": UNMENDED,
    "options/restore_afterwards_false_next": (
        "meant difference: override_settings do not outlive their request"
    ),
}


@dataclass(frozen=True)
class Replay:
    """A recording against what we make of it; the worst of its pictures counts.

    `psnr` (dB) and `difference` (of 255) are None where there was no picture to compare.
    """

    name: str
    psnr: float | None = None
    difference: int | None = None
    same_infotext: bool = False
    note: str = ""
    section: str = ""
    pictures: bool = True
    explanation: str = ""

    @property
    def agrees(self) -> bool:
        near = not self.pictures or (self.difference is not None and self.difference <= TOLERANCE)
        return near and self.same_infotext

    @property
    def verdict(self) -> str:
        if self.agrees:
            return "agrees"
        return "explained" if self.explanation else "unexplained"


def client_of(data: Path, scratch: Path, *flags: str, models: Path | None = None) -> TestClient:
    """The whole application with the models in `data`, which it does not write to.

    `models`, if given, is the folder of models in place of `data`'s.
    """
    for name in ("config.json", "styles.csv"):
        if (data / name).is_file():
            shutil.copyfile(data / name, scratch / name)
    folders = {"--data-dir": scratch, "--models-dir": models or data / "models"}
    folders["--embeddings-dir"] = data / "embeddings"
    given = [str(part) for pair in folders.items() for part in pair]
    argv = [*given, "--no-download-sd-model", *flags]
    settings = parse_flags(argv, {}, absolute=os.path.abspath)
    app = bootstrap.build_app(bootstrap.assemble(settings))
    return TestClient(app, headers={"Host": "localhost"})


def starter_client(data: Path, scratch: Path, *flags: str) -> TestClient:
    """The same over the starter checkpoint alone, with the styles and settings in `data`."""
    shipped = harness.data_directory(scratch / "shipped", harness.STARTER)
    return client_of(data, scratch, *flags, models=shipped / "models")


def on_the_starter(case: Recording) -> bool:
    """Whether it was recorded on the very starter checkpoint that ships."""
    return case.info.get("sd_model_hash") == _starters_hash()


@cache
def _starters_hash() -> str:
    """As infotexts have it: ten hexadecimal digits."""
    return sha256(harness.STARTER.read_bytes()).hexdigest()[:10]


def replay(client: TestClient, case: Recording) -> Replay:
    """Send the request again and compare the answers: pictures, and what is told of them."""
    return replace(_replayed(client, case), section=case.section)


def _replayed(client: TestClient, case: Recording) -> Replay:
    before = _change(client, case.options)
    try:
        answer = client.simulate_post(case.path, json=case.request)
    finally:
        _change(client, before)
    if answer.status_code != 200:
        return Replay(case.name, note=f"{answer.status_code} {_detail(answer.text)}")
    extras = case.path in EXTRAS
    found = [answer.json["image"]] if "image" in answer.json else answer.json["images"]
    ours = [b64decode(text) for text in found]
    if len(ours) != len(case.pictures):
        return Replay(case.name, note=f"{len(ours)} pictures, not {len(case.pictures)}")
    pairs = [compare(a, b) for a, b in zip(ours, case.pictures, strict=True)]
    told = [answer.json["html_info"]] if extras else json.loads(answer.json["info"])["infotexts"]
    note = infotext_difference(told, case.infotexts)
    note = note or infotext_difference(embedded(ours), embedded(case.pictures))
    if extras:
        note = note or infotext_difference(postprocessed(ours), postprocessed(case.pictures))
    return Replay(
        case.name,
        psnr=min((each for each, _ in pairs), default=None),
        difference=max((each for _, each in pairs), default=None),
        same_infotext=not note,
        note=note,
        pictures=bool(pairs),
    )


def _detail(text: str) -> str:
    try:
        said = json.loads(text)
        return str(said["detail"] or said["errors"])
    except (ValueError, KeyError, TypeError):
        return text[:100]


def _change(client: TestClient, options: Mapping[str, object]) -> Mapping[str, object]:
    """Set options. Returns what they were."""
    if not options:
        return {}
    before = client.simulate_get("/sdapi/v1/options").json
    client.simulate_post("/sdapi/v1/options", json=dict(options))
    return {name: before[name] for name in options if name in before}


def compare(ours: bytes, theirs: bytes) -> tuple[float, int]:
    """Two picture files: PSNR in dB, and the largest difference of any channel, 0 to 255.

    Pictures of different sizes have nothing in common: 0 dB and 255.
    """
    pictures = [_opened(file) for file in (ours, theirs)]
    mode = "RGBA" if any(each.has_transparency_data for each in pictures) else "RGB"
    a, b = (np.asarray(each.convert(mode), dtype=np.int16) for each in pictures)
    if a.shape != b.shape:
        return 0.0, 255
    error = np.abs(a - b)
    return psnr(float(np.mean(np.square(error.astype(np.float64))))), int(error.max())


def embedded(files: Sequence[bytes]) -> list[str]:
    """The infotext inside each picture file; "" where there is none."""
    return [read_infotext(_opened(file)) or "" for file in files]


def postprocessed(files: Sequence[bytes]) -> list[str]:
    """What each picture file tells of what extras did to it; "" where only a PNG could."""
    return [str(_opened(file).info.get("postprocessing", "")) for file in files]


def _opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def infotext_difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Where the first differing pair of infotexts parts, in words; "" if all are equal."""
    if len(ours) != len(theirs):
        return f"{len(ours)} infotexts, not {len(theirs)}"
    for our, their in zip(ours, theirs, strict=True):
        for at, (a, b) in enumerate(zip(f"{our}\0", f"{their}\0", strict=False)):
            if a != b:
                start = max(0, at - 10)
                return f"{our[start : at + 30]!r}, not {their[start : at + 30]!r}"
    return ""


def explanation(case: Recording, made: Replay, checkpoints: frozenset[str]) -> str:
    """Why a case misses, or "". `checkpoints` are the names of the files at hand."""
    extra = case.info.get("extra_generation_params", {})
    asked = [case.info.get("sd_model_name"), extra.get("Refiner"), extra.get("Hires checkpoint")]
    for text in filter(None, asked):
        name = str(text).partition(" [")[0]
        if name not in checkpoints and Path(name).stem not in checkpoints:
            return f"checkpoint {name} is not among the recordings' files"
    if NO_SCRIPT.search(made.note):
        return "a selectable script that is not here yet"
    jpeg = any(picture.startswith(b"\xff\xd8") for picture in case.pictures)
    if jpeg and made.same_infotext and (made.psnr or 0) >= JPEG_PSNR:
        return JPEG
    return KNOWN.get(case.name, "")


def checkpoints_at_hand(client: TestClient) -> frozenset[str]:
    return frozenset(each["model_name"] for each in client.simulate_get("/sdapi/v1/sd-models").json)


def replay_all(client: TestClient, cases: Sequence[Recording], console: Console) -> list[Replay]:
    """One after the other, showing how far it is; what misses is told at once."""
    at_hand, replays = checkpoints_at_hand(client), []
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(cases))
        for case in cases:
            progress.update(task, description=case.name)
            made = replay(client, case)
            if not made.agrees:
                made = replace(made, explanation=explanation(case, made, at_hand))
                console.print(f"{made.name}: {made.verdict}", highlight=False)
            replays.append(made)
            progress.advance(task)
    return replays


def replay_over(
    data: Path, cases: Sequence[Recording], flags: Sequence[str], console: Console
) -> list[Replay]:
    """All of them with the models in `data`, save those recorded on the starter, where it is not
    among these: they come last, with the one that ships."""
    there = any((data / "models").rglob(harness.STARTER.name))
    parts: dict[bool, list[Recording]] = {False: [], True: []}
    for case in cases:
        parts[on_the_starter(case) and not there].append(case)
    replays: list[Replay] = []
    for shipped, part in parts.items():
        if part:
            with tempfile.TemporaryDirectory() as scratch:
                opened = starter_client if shipped else client_of
                replays += replay_all(opened(data, Path(scratch), *flags), part, console)
    return replays


def table_of(replays: Sequence[Replay]) -> Table:
    table = Table(title="against the recordings")
    table.add_column("case", no_wrap=True)
    for column in ("PSNR, dB", "largest difference"):
        table.add_column(column, justify="right")
    table.add_column("infotext")
    table.add_column("note", overflow="fold")
    colours = {"agrees": "green", "explained": "yellow", "unexplained": "red"}
    for each in replays:
        colour = colours[each.verdict]
        table.add_row(
            each.name,
            "-" if each.psnr is None else f"{each.psnr:.1f}",
            f"[{colour}]{'-' if each.difference is None else f'{each.difference}/255'}[/]",
            "equal" if each.same_infotext else f"[{colour}]differs[/]",
            escape("; ".join(filter(None, (each.explanation, each.note)))),
        )
    return table


def sections_of(replays: Sequence[Replay]) -> Table:
    """How each section fares: the worst figures are those of what agrees."""
    table = Table(title="by section")
    table.add_column("section", no_wrap=True)
    columns = ("cases", "agree", "explained", "unexplained", "least PSNR, dB", "largest difference")
    for column in columns:
        table.add_column(column, justify="right")
    names = sorted({each.section for each in replays})
    for name in [*names, None] if len(names) > 1 else names:
        within = [each for each in replays if name in (None, each.section)]
        near = [each for each in within if each.agrees and each.difference is not None]
        verdicts = Counter(each.verdict for each in within)
        counts = [str(verdicts[each]) for each in ("agrees", "explained", "unexplained")]
        psnrs = [each.psnr for each in near if each.psnr is not None]
        worst = f"{min(psnrs):.1f}" if psnrs else "-"
        off = max((each.difference or 0 for each in near), default=None)
        largest = "-" if off is None else f"{off}/255"
        table.add_row("all" if name is None else name, str(len(within)), *counts, worst, largest)
    return table


def summary(replays: Sequence[Replay], out: Sequence[Out]) -> list[str]:
    """In lines: how many agree, how many do not and why, and what was not replayed."""
    verdicts = Counter(each.verdict for each in replays)
    counts = ", ".join(
        f"{verdicts[each]} {each}" for each in ("agrees", "explained", "unexplained")
    )
    lines = [f"{len(replays)} cases: {counts}".replace("agrees", "agree")]
    reasons = Counter(each.explanation for each in replays if each.verdict == "explained")
    lines += [f"  explained, {count}: {reason}" for reason, count in reasons.most_common()]
    others = Counter(each.reason for each in out)
    lines += [f"  not replayed, {count}: {reason}" for reason, count in others.most_common()]
    return lines


def figures(replay: Replay) -> dict[str, Any]:
    """For JSON, which knows no infinity."""
    value = "inf" if replay.psnr == math.inf else replay.psnr
    return {**asdict(replay), "psnr": value, "verdict": replay.verdict}


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    at = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="What follows -- are flags of the server.",
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION")
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="DIR",
        help=f"default: {harness.RECORDINGS}, or where it is absent {harness.OWN_RECORDINGS}",
    )
    parser.add_argument("--data", type=Path, help="default: data/ of the recordings", metavar="DIR")
    parser.add_argument("--threads", type=int, help="of torch; default: torch's choice")
    parser.add_argument("--only", default="*", help="cases: samplers/DPM*", metavar="PATTERN")
    parser.add_argument("--uses", nargs="+", choices=(*FEATURES, "networks"), metavar="FEATURE")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(given[:at])
    flags = ["--threads", str(arguments.threads)] if arguments.threads else []
    console, recordings = harness.console(), arguments.recordings or harness.RECORDINGS
    if not arguments.recordings and not recordings.is_dir():
        recordings = harness.OWN_RECORDINGS
        line = f"{harness.RECORDINGS} is absent: replaying the recordings that ship, {recordings}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    try:
        found = list(read_all(recordings, arguments.sections))
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    found = [each for each in found if fnmatchcase(each.name, arguments.only)]
    cases = [each for each in found if isinstance(each, Recording)]
    if arguments.uses:
        wanted = FEATURES if "networks" in arguments.uses else arguments.uses
        cases = [each for each in cases if not features_of(each).isdisjoint(wanted)]
    out = [] if arguments.uses else [each for each in found if isinstance(each, Out)]
    data = (arguments.data or recordings / "data").absolute()
    replays = replay_over(data, cases, [*flags, *given[at + 1 :]], console)
    console.print(table_of(replays))
    console.print(sections_of(replays))
    for line in summary(replays, out):
        console.print(line, markup=False, highlight=False)
    harness.save(arguments.json, {"cases": [figures(each) for each in replays]})
    if not replays:
        return 2
    return 1 if any(each.verdict == "unexplained" for each in replays) else 0


if __name__ == "__main__":
    sys.exit(main())
