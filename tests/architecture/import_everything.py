"""Run as a program: import the modules named on standard input, and tell what that did besides.

Prints a JSON list of complaints. A module may define things and import others; it may not open a
file, read the environment, start a thread or a process, or touch the network or a device.
"""

import importlib
import json
import os
import sys
import threading
from types import FrameType

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WATCHED = (
    "open",
    "os.listdir",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.scandir",
    "shutil.",
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "tempfile.",
    "sqlite3.",
    "urllib.",
)
complaints: list[str] = []


def culprit() -> str | None:
    """Where in our source the current operation comes from; None if an import statement does."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        code = frame.f_code
        if code.co_name == "_find_and_load" and code.co_filename == "<frozen importlib._bootstrap>":
            return None
        ours = code.co_filename.startswith(ROOT) and "site-packages" not in code.co_filename
        if ours and code.co_filename != __file__:
            return f"{code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def hear(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook."""
    if event.startswith(WATCHED) and (place := culprit()):
        complaints.append(f"{place}: {event} {arguments[:1]!r}")


class Environment(os._Environ[str]):
    """os.environ that tells who reads it."""

    def __getitem__(self, key: str) -> str:
        if place := culprit():
            complaints.append(f"{place}: environment {key!r}")
        return super().__getitem__(key)


def main() -> None:
    names = json.load(sys.stdin)
    os.environ.__class__ = Environment
    sys.addaudithook(hear)
    for name in names:
        importlib.import_module(name)
    if threading.active_count() > 1:
        complaints.append(f"threads run: {threading.enumerate()}")
    torch = sys.modules.get("torch")
    if torch is not None:
        if torch.cuda.is_initialized():
            complaints.append("CUDA is initialised")
        if not torch.is_grad_enabled() or torch.get_default_dtype() is not torch.float32:
            complaints.append("torch's global settings are changed")
    print(json.dumps(complaints))


if __name__ == "__main__":
    main()
