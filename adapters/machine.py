"""The machine and the server's own process: memory, versions, allocator settings, stopping.

Source: spec api.md 14 (/memory), 15 (server-stop and its kin), 16 (/internal/sysinfo).
"""

import ctypes
import logging
import os
import platform
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from hexfusion.adapters.server_log import ServerLog
from hexfusion.application.system.version import A1111_VERSION
from hexfusion.domain.flags import Flags
from hexfusion.domain.seeds import SEED_RANGE

#: Environment variables that the system report contains; none of them is secret.
_SHOWN = (
    "CUDA_VISIBLE_DEVICES", "HEXFUSION_DATA", "IGNORE_CMD_ARGS_ERRORS", "MKL_NUM_THREADS",
    "OMP_NUM_THREADS", "PYTHONPATH", "PYTORCH_CUDA_ALLOC_CONF", "SD_WEBUI_RESTART",
)  # fmt: skip

#: mallopt's parameter for the number of arenas (malloc.h), and its value.
_M_ARENA_MAX, _ARENAS = -8, 2

#: Environment variables for the capacities of oneDNN's cache and torch's, and the value for both: a
#: UNet and a VAE have some hundred pairs of operator and shape.
_OPERATOR_CACHES, _OPERATORS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"), 256

#: Seconds after work at which freed memory is returned.
_TIDY_AFTER = (2.0, 30.0)

#: Size of the memory blocks that Pillow allocates, in bytes.
_PICTURE_BLOCK = 64 * 2**20


def read_ram() -> Mapping[str, float]:
    """RAM in bytes: `free`, `used` (by this process), `total`."""
    import psutil

    machine, used = psutil.virtual_memory(), psutil.Process().memory_info().rss
    return {"free": machine.total - used, "used": used, "total": machine.total}


def read_machine() -> Mapping[str, object]:
    """Platform, versions and hardware for the system report, under A1111's titles.

    Takes tenths of a second.
    """
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


def steady_clock() -> Callable[[], float]:
    """A clock in seconds since 1970 that goes on steadily when the system's time is set.

    It starts at the system's time, and is right to a second for as long as that is not set.
    """
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


def draw_seed() -> int:
    """An unpredictable random seed, 0 <= seed < SEED_RANGE."""
    return secrets.randbelow(SEED_RANGE)


def own_version() -> str:
    """The installed version of Hexfusion; "0+unknown" for a checkout that is not installed."""
    return _version("hexfusion") or "0+unknown"


def about() -> Mapping[str, str]:
    """Name and version of this server, and the version of A1111 that it behaves like."""
    return {"app": "hexfusion", "version": own_version(), "a1111": A1111_VERSION}


def prepare(flags: Flags) -> None:
    """Prepare this process: logging, warnings, allocator. Must be called before threads start."""
    level = flags.text("loglevel").upper() or "INFO"
    logging.basicConfig(level=level, handlers=[ServerLog(flags.integer("log_lines"))])
    for option in (*flags.ignored(), *flags.unknown):
        logging.getLogger("hexfusion").warning("%s has no effect here", option)
    share_freed_memory()
    return_large_pictures()
    bound_operator_caches(os.environ)


def bound_operator_caches(environ: MutableMapping[str, str]) -> None:
    """Bound what torch keeps for each shape that its operators on CPUs met, unless the environment
    says otherwise. Must be called before torch is imported.

    oneDNN keeps code and buffers for 1024 pairs of operator and shape, and so does torch's own
    cache above it: a server that draws pictures of ever other sizes grew by 1.5 MB with each.
    """
    for name in _OPERATOR_CACHES:
        environ.setdefault(name, str(_OPERATORS))


def share_freed_memory() -> None:
    """Let threads reuse memory that other threads freed. Must be called before threads start.

    glibc gives each thread an arena (up to eight per core), which keeps memory freed there. Since
    jobs run in the threads of their requests, each arena would come to hold a job's tensors: 24
    jobs on the starter grew to 3 GB; with two arenas they stay below 0.9 GB. Does nothing on
    systems without glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def return_large_pictures() -> None:
    """Return the memory of large pictures to the system once they are freed.

    Pillow allocates blocks of 16 MiB, which glibc retains for each thread: gigabytes after a few
    requests. Blocks above 32 MiB are never retained (upper bound of M_MMAP_THRESHOLD).
    """
    from PIL import _imaging

    _imaging.set_block_size(_PICTURE_BLOCK)


def return_freed_memory() -> None:
    """Return freed memory to the system, which glibc would keep for later; elsewhere do nothing.

    It takes milliseconds, during which other threads may wait for memory.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class AfterWork:
    """Returns memory some time after work has ended, in a thread of its own.

    glibc gives back what lies at the end of its heaps only: hundreds of megabytes stay after large
    replies. `tidy` does the work, each of `seconds` after work has ended, when the reply has gone,
    or a reply that took long. Where work keeps ending, it is done once in that time.
    """

    def __init__(
        self,
        tidy: Callable[[], None] = return_freed_memory,
        seconds: Sequence[float] = _TIDY_AFTER,
    ) -> None:
        self._delays = [_Delay(tidy, each) for each in seconds]

    def __call__(self) -> None:
        """Work has ended. Returns at once."""
        for each in self._delays:
            each.begin()


class _Delay:
    """Calls `act` at most once in `seconds`, and at last from one to two times `seconds` after the
    last call of `begin`."""

    def __init__(self, act: Callable[[], None], seconds: float) -> None:
        self._act = act
        self._seconds = seconds
        self._free = threading.BoundedSemaphore()  # taken while a timer runs
        self._again = False

    def begin(self) -> None:
        if not self._free.acquire(blocking=False):
            self._again = True
            return
        timer = threading.Timer(self._seconds, self._over)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # no more threads: another time
            self._free.release()

    def _over(self) -> None:
        again, self._again = self._again, False
        self._free.release()
        self._act()
        if again:  # some of it may have ended just now
            self.begin()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


class Process:
    """Stops, restarts or kills this process, for the routes of `--api-server-stop`.

    `environ` is the process environment: a supervisor that restarts the server sets
    `SD_WEBUI_RESTART` to the path of a file that requests a restart.
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
        """Stop as on SIGTERM: running requests are finished first."""
        self._send(os.getpid(), signal.SIGTERM)

    def restart(self) -> bool:
        """Create the file that requests a restart, and stop.

        Returns False, and does nothing, if `SD_WEBUI_RESTART` is not set.
        """
        if not self._marker:
            return False
        marker = Path(self._marker)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        self.stop()
        return True

    def kill(self) -> None:
        """Exit at once, dropping all connections."""
        self._leave(0)


def process_control(flags: Flags) -> Process | None:
    """Control of this process for clients, None without `--api-server-stop`."""
    return Process(os.environ) if flags.switch("api_server_stop") else None
