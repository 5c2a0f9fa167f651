"""Flags that bound what the server takes, keeps and spends; each has a default.

What stands here is told, without another list: by `hexfusion --help`, in docs/limits.md, and under
`info.x-limits` in the OpenAPI document of the running server.
"""

from hexfusion.domain.flags.flag import Flag, FlagEffect, FlagKind

_INTEGER, _WORKS = FlagKind.INTEGER, FlagEffect.WORKS

LIMITS = (
    Flag("slots", _INTEGER, 1, "requests generating at once", _WORKS, least=1, unit="requests"),
    Flag(
        "queue",
        _INTEGER,
        32,
        "requests that may wait; beyond it 429",
        _WORKS,
        least=0,
        unit="requests",
    ),
    Flag(
        "queue_per_user",
        _INTEGER,
        0,
        "of these, requests of one user, or of one address where nobody logs in; beyond it 429."
        " An eighth of the queue is for those with none that waits. 0: three quarters of --queue",
        _WORKS,
        least=0,
        unit="requests",
    ),
    Flag(
        "watchers_per_user",
        _INTEGER,
        0,
        "of the 32 clients that may read a job's events or wait for the same job, those of one user"
        " or address; beyond it 429. 0: 24",
        _WORKS,
        least=0,
        unit="clients",
    ),
    Flag(
        "loads_waiting",
        _INTEGER,
        4,
        "requests that may wait for a checkpoint to load, or for files to be listed, besides"
        " the one being served; beyond it 429",
        _WORKS,
        least=0,
        unit="requests",
    ),
    Flag(
        "overtakes",
        _INTEGER,
        8,
        "times that a waiting job may be overtaken by jobs whose checkpoint is in memory; 0: never",
        _WORKS,
        least=0,
        unit="times",
    ),
    Flag(
        "overtaking_time",
        _INTEGER,
        60,
        "seconds after its first overtaking during which a job may be overtaken again",
        _WORKS,
        least=0,
        unit="seconds",
    ),
    Flag(
        "model_vram",
        _INTEGER,
        0,
        "MiB that models may take on the device; 0: three quarters of its memory",
        _WORKS,
        least=0,
        unit="MiB",
    ),
    Flag(
        "model_ram",
        _INTEGER,
        0,
        "MiB that models may take in RAM; 0: half of the RAM",
        _WORKS,
        least=0,
        unit="MiB",
    ),
    Flag(
        "job_retention",
        _INTEGER,
        3600,
        "seconds for which a finished job is kept",
        _WORKS,
        least=1,
        unit="seconds",
    ),
    Flag(
        "job_limit",
        _INTEGER,
        200,
        "finished jobs that are kept of each user, or address; then their oldest goes",
        _WORKS,
        least=1,
        unit="jobs",
    ),
    Flag(
        "job_limit_all",
        _INTEGER,
        2000,
        "finished jobs that are kept of all together; then the oldest goes of who has most",
        _WORKS,
        least=1,
        unit="jobs",
    ),
    Flag(
        "job_memory",
        _INTEGER,
        256,
        "MiB that all results may take; then the oldest goes of whose results take most",
        _WORKS,
        least=1,
        unit="MiB",
    ),
    Flag(
        "api_rate",
        FlagKind.TEXT,
        None,
        "requests each client may make, as in 60/m (by s, m or h); beyond it 429",
        _WORKS,
    ),
    Flag(
        "log_lines",
        _INTEGER,
        100,
        "lines of log a second from each part of the server; further ones are counted, not written",
        _WORKS,
        least=1,
        unit="lines",
    ),
    Flag(
        "waiting_memory",
        _INTEGER,
        256,
        "MiB that the bodies of all requests that wait or are worked on may have together (not"
        " counted: those up to 64 KiB); beyond it 429",
        _WORKS,
        least=1,
        unit="MiB",
    ),
    Flag(
        "request_megapixels",
        _INTEGER,
        135,
        "million pixels that all pictures of one request may have together; beyond it 422. One"
        " picture may have 67 million",
        _WORKS,
        least=1,
        unit="megapixels",
    ),
    Flag(
        "decoded_megapixels",
        _INTEGER,
        135,
        "million pixels that the received pictures of all running jobs may have together; a job"
        " beyond it waits in its slot",
        _WORKS,
        least=1,
        unit="megapixels",
    ),
    Flag(
        "picture_cache",
        _INTEGER,
        128,
        "MiB that pictures enlarged by extras may take, to be used again, besides the number in"
        " option upscaling_max_images_in_cache; 0: none is kept",
        _WORKS,
        least=0,
        unit="MiB",
    ),
    Flag("max_body", _INTEGER, 64, "largest request body, MiB", _WORKS, least=1, unit="MiB"),
)
