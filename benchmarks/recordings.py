"""Recorded A1111 requests, as files: benchmarks/README.md says how to make one.

A recording is a JSON object with `request` (its `json`, and its `path` unless that is txt2img's)
and what A1111 answered: `status` (200 unless said) and `body`. Pictures in the body are base64
texts as they came, or {"$file": NAME} for a file beside it. `options`, if there, had been posted
to /sdapi/v1/options before.
"""

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATH = "/sdapi/v1/txt2img"
#: What is replayed: generations, and pictures enlarged and mended.
EXTRAS = ("/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images")
PATHS = (PATH, "/sdapi/v1/img2img", *EXTRAS)
#: Recordings that were made one after the other: the earlier one that set options for the later.
SET_BY = {
    "formats/t2i_jpg": "set_jpg",
    "formats/t2i_webp": "set_webp",
    "formats/extra_jpg": "set_jpg",
    "formats/extra_webp": "set_webp",
    "rest/after_ckpt_b": "opt_ckpt_b",
    "rest/after_vae": "opt_vae",
}


@dataclass(frozen=True)
class Recording:
    """A request to generate, and the pictures (as files) and the infotexts it was answered with.

    Of extras, `infotexts` holds `html_info`.
    """

    name: str
    path: str
    request: object
    pictures: tuple[bytes, ...]
    infotexts: tuple[str, ...]
    info: Mapping[str, Any]
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def section(self) -> str:
        """The folder it lies in; extras lie in several, and are one."""
        return "extras" if self.path in EXTRAS else self.name.rpartition("/")[0]


@dataclass(frozen=True)
class Out:
    """A recording that is not replayed, and why."""

    name: str
    reason: str


def read_all(folder: Path, sections: Sequence[str] = ()) -> Iterator[Recording | Out]:
    """What lies in `folder` and its sections, which are folders; without any named: all of them.

    Raises FileNotFoundError for an unknown section, ValueError for a broken file.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    within = [folder / section for section in sections]
    for section in within or [folder, *sorted(each for each in folder.iterdir() if each.is_dir())]:
        if not section.is_dir():
            raise FileNotFoundError(section)
        for path in sorted(section.glob("*.json")):
            yield from read(path, folder)


def read(path: Path, folder: Path) -> Iterator[Recording | Out]:
    """The recordings in a file: none, one, or two that were sent at once.

    `folder` is what their names are relative to. Raises ValueError where the file is broken.
    """
    name = path.relative_to(folder).with_suffix("").as_posix()
    try:
        case = json.loads(path.read_text("utf-8"))
        if not isinstance(case, dict) or "request" not in case:
            return  # no recording: a schema, a log
        asked, answer = case["request"], case.get("result", case)
        yield _read(name, path, folder, asked, answer, stopped=bool(case.get("action")))
        if asked.get("second"):
            second = {**asked, "json": asked["second"]}
            yield _read(f"{name}+second", path, folder, second, case["second"])
    except (KeyError, TypeError, AttributeError, OSError, ValueError) as error:
        raise ValueError(f"{path} is no recording: {error!r}") from error


def _read(
    name: str,
    path: Path,
    folder: Path,
    asked: Mapping[str, Any],
    answer: Mapping[str, Any],
    stopped: bool = False,
) -> Recording | Out:
    path_asked = asked.get("path", PATH)
    if path_asked not in PATHS or asked.get("method", "POST") != "POST":
        return Out(name, "of another route")
    if answer.get("status", 200) != 200:
        return Out(name, "answered with an error")
    if stopped:
        return Out(name, "interrupted or skipped by another request, at a moment that was chance")
    request = asked["json"] if "json" in asked else json.loads(asked["data"])
    body = answer["body"]
    if path_asked in EXTRAS:
        given = body["images"] if "images" in body else [body["image"]]
        return Recording(
            name=name,
            path=path_asked,
            request=_with_files(request, folder),
            pictures=tuple(_picture(each, path.parent) for each in given),
            infotexts=(body["html_info"],),
            info={},
            options=_options_before(name, path, answer),
        )
    info = json.loads(body["info"])
    return Recording(
        name=name,
        path=path_asked,
        request=with_seeds(_with_files(request, folder), info),
        pictures=tuple(_picture(each, path.parent) for each in body["images"] or ()),
        infotexts=tuple(info["infotexts"]),
        info=info,
        options=_options_before(name, path, answer),
    )


def with_seeds(request: object, info: Mapping[str, Any]) -> object:
    """A request that left a seed to chance, with the seed that chance gave.

    One that an infotext in the request names is no chance.
    """
    if not isinstance(request, dict):
        return request
    infotext = str(request.get("infotext") or "")
    drawn = {
        name: info[f"all_{name}s"][0]
        for name, label in (("seed", "Seed: "), ("subseed", "Variation seed: "))
        if request.get(name) in (None, "", -1, "-1")
        and label not in infotext
        and info.get(f"all_{name}s")
    }
    if not request.get("subseed_strength"):
        drawn.pop("subseed", None)
    return {**request, **drawn}


def _with_files(value: Any, folder: Path) -> Any:
    """{"$b64": PATH} anywhere in a request is that file in base64."""
    if isinstance(value, dict):
        if value.keys() == {"$b64"}:
            return b64encode((folder / value["$b64"]).read_bytes()).decode("ascii")
        return {key: _with_files(each, folder) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_files(each, folder) for each in value]
    return value


def _picture(image: Any, folder: Path) -> bytes:
    if isinstance(image, dict):
        return (folder / image["$file"]).read_bytes()
    return b64decode(image.rpartition(",")[2])  # some clients keep it as a data URI


def _options_before(name: str, path: Path, answer: Mapping[str, Any]) -> Mapping[str, object]:
    own = answer.get("options", {})
    if name not in SET_BY:
        return own
    earlier = json.loads((path.parent / f"{SET_BY[name]}.json").read_text("utf-8"))
    return {**earlier["request"]["json"], **own}


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio of 8-bit pictures, dB; infinite where they are identical."""
    if mean_squared_error == 0:
        return math.inf
    return 10 * math.log10(255**2 / mean_squared_error)
