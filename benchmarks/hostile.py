"""Requests and files that are wrong: what does the server say, and does it still serve?

python -m benchmarks.hostile [--checkpoint FILE] [--threads N] [--json FILE]

After each case a picture is asked for that has to be, byte for byte, the one made at first. Exit
status 1 if it is not, or if an answer is not the expected one.
"""

import argparse
import http.client
import json
import os
import pickle
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table
from safetensors.numpy import load_file, save_file

from benchmarks import harness
from benchmarks.harness import Client, order

TXT2IMG = "/sdapi/v1/txt2img"
#: Tensors that every checkpoint of the SD1 layout has.
TENSOR = "model.diffusion_model.out.2.weight"
#: Characters of an answer that the table shows.
SHOWN = 240
#: Seconds to wait for an answer.
PATIENCE = 300
#: Folder that a pickled checkpoint would make if its code ran.
PROOF = "unpickled"


@dataclass(frozen=True)
class Case:
    """A request, the status it should get, and what the answer has to mention."""

    name: str
    status: int
    mentions: tuple[str, ...] = ()
    body: object = None
    method: str = "POST"
    path: str = TXT2IMG


@dataclass(frozen=True)
class Raw:
    """Bytes for the socket, and the status of the answer; None where the client does not wait.

    `may_be_cut`: the server need not read to the end, and then closing may overtake the answer.
    """

    name: str
    status: int | None
    sent: bytes
    may_be_cut: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a case. `as_before`: afterwards the first picture could be had again."""

    name: str
    expected: int | None
    status: int | None
    body: str
    answered_well: bool
    as_before: bool

    @property
    def good(self) -> bool:
        return self.answered_well and self.as_before


def request_cases() -> Iterator[Case]:
    """Wrong requests. No checkpoint has to be there for them."""
    yield Case("unknown sampler", 400, ("Sampler not found",), order(sampler_name="Magic"))
    yield Case("unknown script", 422, ("Magic",), order(script_name="Magic"))
    yield Case("steps: 'abc'", 422, ("steps",), order(steps="abc"))
    yield Case("steps: 0", 422, ("steps",), order(steps=0))
    yield Case("steps: 10^9", 422, ("steps",), order(steps=10**9))
    yield Case("width: 0", 422, ("width",), order(width=0))
    yield Case("width: 10^6", 422, ("width",), order(width=10**6))
    yield Case("batch_size: -1", 422, ("batch_size",), order(batch_size=-1))
    yield Case("n_iter: 10^9", 422, ("n_iter",), order(n_iter=10**9))
    yield Case("seed: 2^64", 422, ("seed",), order(seed=2**64))
    yield Case("seed: 10^400", 422, ("seed",), order(seed=10**400))
    yield Case("cfg_scale: NaN", 422, ("cfg_scale",), b'{"cfg_scale": NaN}')
    yield Case("cfg_scale: 1e999", 422, ("cfg_scale",), b'{"cfg_scale": 1e999}')
    yield Case("prompt: an object", 422, ("prompt",), order(prompt={"a": 1}))
    yield Case("prompt: weight without end", 422, ("prompt",), order(prompt=f"(a:{'9' * 400})"))
    yield Case("prompt: half a surrogate pair", 400, (), b'{"prompt": "\\ud800"}')
    override: dict[str, object] = {"override_settings": {"CLIP_stop_at_last_layers": "abc"}}
    yield Case("override: wrong type", 422, ("CLIP_stop_at_last_layers",), order(**override))
    override = {"override_settings": {"no_such_option": 1}}
    yield Case("override: unknown option", 422, ("KeyError", "no_such_option"), order(**override))
    yield Case("no body", 422, ("body",), b"")
    yield Case("body: a list", 422, ("body",), [1, 2])
    yield Case("invalid JSON", 422, ("body",), b'{"prompt": "a cat", }')
    yield Case("not UTF-8", 400, (), b'{"prompt": "\xff\xfe"}')
    yield Case(
        "JSON 100,000 deep", 400, (), b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    )
    yield Case("100 MB of nothing", 413, ("too large",), bytes(100_000_000))
    yield Case("no such route", 404, ("Not Found",), {}, path="/sdapi/v1/nope")
    yield Case("GET where POST is due", 405, (), method="GET")
    yield Case(
        "progress of no job", 404, ("nobody",), None, "GET", "/sdapi/v1/progress?id_task=nobody"
    )
    yield Case("options: unknown checkpoint", 500, ("magic",), {"sd_model_checkpoint": "magic"},
               path="/sdapi/v1/options")  # fmt: skip


def raw_cases() -> Iterator[Raw]:
    """What is not even HTTP, or only half of it."""
    head = b"POST " + TXT2IMG.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
    yield Raw("not HTTP", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    yield Raw("a header of 1 MB", 431, head + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n", True)
    yield Raw("length: abc", 400, head + b"Content-Length: abc\r\n\r\n{}")
    yield Raw("chunks that are none", 400, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
    both = b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"
    yield Raw("two lengths", 400, head + both)
    older = head.replace(b"HTTP/1.1", b"HTTP/1.0")
    yield Raw("chunks in HTTP/1.0", 400, older + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    yield Raw("half a body, then gone", None, head + b'Content-Length: 100\r\n\r\n{"steps":')
    long = json.dumps(order(steps=1000, width=512, height=512)).encode()
    length = f"Content-Length: {len(long)}\r\n\r\n".encode()
    yield Raw("1000 steps asked for, then gone", None, head + length + long)


@dataclass(frozen=True)
class BadFile:
    """A checkpoint file gone wrong. `needs_weights`: only a backend that computes can tell."""

    file: str
    mentions: tuple[str, ...]
    needs_weights: bool = False


BAD_FILES = (
    BadFile("truncated.safetensors", ("CheckpointError", "truncated.safetensors")),
    BadFile("garbage.safetensors", ("CheckpointError", "garbage.safetensors")),
    BadFile("empty.safetensors", ("CheckpointError", "empty.safetensors")),
    BadFile("incomplete.safetensors", ("incomplete.safetensors", TENSOR), True),
    BadFile("misshapen.safetensors", ("misshapen.safetensors", TENSOR), True),
    BadFile("nan.safetensors", ("NotANumber",), True),
    BadFile("pickled.ckpt", ("CheckpointError", "pickled.ckpt"), True),
)


def write_bad_files(folder: Path, sound: Path, *, weights: bool) -> None:
    """Make them from a sound checkpoint; without `weights` those only that show from outside."""
    content = sound.read_bytes()
    (folder / "truncated.safetensors").write_bytes(content[: len(content) // 2])
    (folder / "garbage.safetensors").write_bytes(b"\xff" * 4096 + content[4096:])
    (folder / "empty.safetensors").write_bytes(b"")
    if not weights:
        return
    tensors = load_file(sound)
    changed = {
        "misshapen": tensors[TENSOR][:, :-1].copy(),
        "nan": np.full_like(tensors[TENSOR], np.nan),
    }
    for name, tensor in changed.items():
        save_file({**tensors, TENSOR: tensor}, folder / f"{name}.safetensors")
    del tensors[TENSOR]
    save_file(tensors, folder / "incomplete.safetensors")
    (folder / "pickled.ckpt").write_bytes(pickle.dumps(_Code(folder / PROOF)))
    for each in BAD_FILES:  # head counts, where the sound one needs them told
        config = sound.with_suffix(".yaml")
        if config.is_file() and each.needs_weights:
            (folder / each.file).with_suffix(".yaml").write_bytes(config.read_bytes())


class _Code:
    """Pickles to a call of `mkdir`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._path),)


def file_cases(*, weights: bool) -> Iterator[Case]:
    """Each bad file, asked for by a request, and the truncated one as the server's option."""
    for each in BAD_FILES:
        if weights or not each.needs_weights:
            override = {"sd_model_checkpoint": each.file}
            yield Case(
                f"checkpoint {each.file}", 500, each.mentions, order(override_settings=override)
            )
    truncated = BAD_FILES[0]
    chosen = {"sd_model_checkpoint": truncated.file}
    yield Case("options: a truncated checkpoint", 500, truncated.mentions, chosen,
               path="/sdapi/v1/options")  # fmt: skip


def outcomes(
    port: int, cases: Sequence[Case | Raw], good_picture: Mapping[str, object]
) -> Iterator[Outcome]:
    """Go through the cases. Raises RuntimeError if there is no picture to start with."""
    before = picture(port, good_picture)
    if before is None:
        raise RuntimeError("the server makes no picture even before it is maltreated")
    for case in cases:
        status, body = send(port, case)
        as_before = picture(port, good_picture) == before
        yield Outcome(case.name, case.status, status, body, is_due(case, status, body), as_before)


def is_due(case: Case | Raw, status: int | None, body: str) -> bool:
    """Whether this is the answer the case should get."""
    if isinstance(case, Raw):
        return status == case.status or (status is None and case.may_be_cut)
    return status == case.status and all(each in body for each in case.mentions)


def send(port: int, case: Case | Raw) -> tuple[int | None, str]:
    """Status and body, or (None, why) where there was no answer."""
    try:
        if isinstance(case, Raw):
            return send_raw(port, case)
        client = Client(port, timeout=PATIENCE)
        reply = client.ask(case.method, case.path, case.body)
        client.close()
    except (OSError, http.client.HTTPException) as error:
        return None, repr(error)
    return reply.status, reply.body.decode("utf-8", "replace")


def send_raw(port: int, case: Raw) -> tuple[int | None, str]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(case.sent)
        if case.status is None:
            return None, ""
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode("utf-8", "replace")


def picture(port: int, wanted: Mapping[str, object]) -> list[str] | None:
    """The pictures in base64; None if they do not come."""
    client = Client(port, timeout=PATIENCE)
    try:
        reply = client.ask("POST", TXT2IMG, wanted)
    except (OSError, http.client.HTTPException):
        return None
    client.close()
    return reply.json()["images"] if reply.status == 200 else None


def table_of(outcomes: Sequence[Outcome], root: str) -> Table:
    table = Table(title="what the server answers")
    table.add_column("case", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("body", overflow="fold")
    table.add_column("serves on", no_wrap=True)
    for each in outcomes:
        status = "-" if each.status is None else str(each.status)
        if not each.answered_well:
            status += f" [bold red]not {each.expected}[/]"
        serves = "yes" if each.as_before else "[bold red]no[/]"
        body = each.body.replace(root, "<root>")
        table.add_row(escape(each.name), status, escape(body[:SHOWN]), serves)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=harness.checkpoints()[0])
    parser.add_argument("--threads", type=int, help="of torch; default: torch's choice")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    flags = ["--threads", str(arguments.threads)] if arguments.threads else []
    console = harness.console()
    sound = arguments.checkpoint
    good_picture = order()
    cases: list[Case | Raw] = [*request_cases(), *raw_cases(), *file_cases(weights=True)]
    with tempfile.TemporaryDirectory() as folder:
        data = harness.data_directory(Path(folder), sound)
        models = data / "models/Stable-diffusion"
        write_bad_files(models, models / sound.name, weights=True)
        with harness.server(data, "--ckpt", str(models / sound.name), *flags) as running:
            results = list(outcomes(running.port, cases, good_picture))
            alive = running.process.poll() is None
        ran = (models / PROOF).exists()
    console.print(table_of(results, folder))
    good = sum(each.good for each in results)
    console.print(f"{good} of {len(results)} as expected; the server process lives on: {alive}; "
                  f"code in the pickled checkpoint ran: {ran}")  # fmt: skip
    harness.save(arguments.json, {"cases": [asdict(each) for each in results]})
    return 0 if good == len(results) and alive and not ran else 1


if __name__ == "__main__":
    sys.exit(main())
