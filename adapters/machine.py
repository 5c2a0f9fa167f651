"""The machine, and the process that this server is.

Source: spec api.md 14 (/memory), 15 (server-stop and its kin), 16 (/internal/sysinfo).
"""

import ctypes
import logging
import os
import platform
import secrets
import signal
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from hexfusion.application.system.version import A1111_VERSION
from hexfusion.domain.flags import Flags
from hexfusion.domain.seeds import SEED_RANGE

#: Variables of the environment that a report may show: none of them holds a secret.
_SHOWN = (
    "CUDA_VISIBLE_DEVICES", "HEXFUSION_DATA", "IGNORE_CMD_ARGS_ERRORS", "MKL_NUM_THREADS",
    "OMP_NUM_THREADS", "PYTHONPATH", "PYTORCH_CUDA_ALLOC_CONF", "SD_WEBUI_RESTART",
)  # fmt: skip

#: mallopt's name for the number of arenas (malloc.h), and how many there shall be.
_M_ARENA_MAX, _ARENAS = -8, 2

#: Bytes that Pillow takes at a time.
_PICTURE_BLOCK = 64 * 2**20


def read_ram() -> Mapping[str, float]:
    """Bytes: free, used by this process, total."""
    import psutil

    machine, used = psutil.virtual_memory(), psutil.Process().memory_info().rss
    return {"free": machine.total - used, "used": used, "total": machine.total}


def read_machine() -> Mapping[str, object]:
    """Names, versions and sizes, by A1111's titles. Takes tenths of a second."""
    import psutil

    memory = psutil.virtual_memory()
    return {
        "Platform": platform.platform(),
        "Python": platform.python_version(),
        "Torch env info": {"torch": _version("torch"), "diffusers": _version("diffusers")},
        "CPU": {
            "model": platform.processor() or platform.machine(),
            "count logical": psutil.cpu_count(),
            "count physical": psutil.cpu_count(logical=False),
        },
        "RAM": {"total": memory.total, "used": memory.used, "free": memory.available},
        "Environment": {name: os.environ[name] for name in _SHOWN if name in os.environ},
        "Packages": sorted({f"{each.name}=={each.version}" for each in distributions()}),
    }


def draw_seed() -> int:
    """A seed that nobody can foresee."""
    return secrets.randbelow(SEED_RANGE)


def own_version() -> str:
    """The installed version of Hexfusion; of a checkout that is not installed none is known."""
    return _version("hexfusion") or "0+unknown"


def about() -> Mapping[str, str]:
    """Which server this is."""
    return {"app": "hexfusion", "version": own_version(), "a1111": A1111_VERSION}


def prepare(flags: Flags) -> None:
    """Make this process ready to be a server. To be called before there are threads."""
    level = flags.text("loglevel").upper() or "INFO"
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    for option in (*flags.ignored(), *flags.unknown):
        logging.getLogger("hexfusion").warning("%s has no effect here", option)
    share_freed_memory()
    return_large_pictures()


def share_freed_memory() -> None:
    """Have threads take what other threads have freed. To be called before there are any.

    glibc gives each thread an arena (up to eight for each core) that keeps what is freed there.
    Requests run in their callers' threads, so each arena came to hold a job's tensors: 24 scenes
    on the starter grew to 3 GB; they stay below 0.9 GB with two arenas. Elsewhere than on glibc
    there is nothing to do.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def return_large_pictures() -> None:
    """Have the memory of large pictures go back to the system when they are gone.

    Pillow takes 16 MiB at a time, which glibc keeps, for each thread that ever had them: gigabytes
    after a few requests. Beyond 32 MiB it keeps nothing (M_MMAP_THRESHOLD's upper bound).
    """
    from PIL import _imaging

    _imaging.set_block_size(_PICTURE_BLOCK)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


class Process:
    """What `--api-server-stop` lets clients do to this process.

    `environ` is the environment it was started with: whoever would start it again names in
    `SD_WEBUI_RESTART` a file that says so.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        send: Callable[[int, int], None] = os.kill,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._marker = environ.get("SD_WEBUI_RESTART")
        self._send = send
        self._leave = leave

    def stop(self) -> None:
        """As SIGTERM does: requests under way are finished first."""
        self._send(os.getpid(), signal.SIGTERM)

    def restart(self) -> bool:
        """Touch the file that asks for it and stop; False where nobody would start it again."""
        if not self._marker:
            return False
        marker = Path(self._marker)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        self.stop()
        return True

    def kill(self) -> None:
        """Leave at once; every connection drops."""
        self._leave(0)


def process_control(flags: Flags) -> Process | None:
    """What clients may do to this process: nothing, unless `--api-server-stop`."""
    return Process(os.environ) if flags.switch("api_server_stop") else None
