"""Flags that only Hexfusion has. They are not part of `GET /cmd-flags`."""

from hexfusion.domain.flags.flag import Flag, FlagEffect, FlagKind

_INTEGER, _WORKS = FlagKind.INTEGER, FlagEffect.WORKS

OWN = (
    Flag("slots", _INTEGER, 1, "requests generating at once", _WORKS, least=1),
    Flag("queue", _INTEGER, 32, "requests that may wait; beyond it 429", _WORKS, least=0),
    Flag(
        "loads_waiting",
        _INTEGER,
        4,
        "requests that may wait for a checkpoint to load, or for files to be listed, besides"
        " the one being served; beyond it 429",
        _WORKS,
        least=0,
    ),
    Flag(
        "overtakes",
        _INTEGER,
        8,
        "times that a waiting job may be overtaken by jobs whose checkpoint is in memory; 0: never",
        _WORKS,
        least=0,
    ),
    Flag(
        "overtaking_time",
        _INTEGER,
        60,
        "seconds after its first overtaking during which a job may be overtaken again",
        _WORKS,
        least=0,
    ),
    Flag(
        "model_vram",
        _INTEGER,
        0,
        "MiB that models may take on the device; 0: three quarters of its memory",
        _WORKS,
        least=0,
    ),
    Flag(
        "model_ram",
        _INTEGER,
        0,
        "MiB that models may take in RAM; 0: half of the RAM",
        _WORKS,
        least=0,
    ),
    Flag(
        "job_retention", _INTEGER, 3600, "seconds for which a finished job is kept", _WORKS, least=1
    ),
    Flag("job_limit", _INTEGER, 200, "finished jobs that are kept", _WORKS, least=1),
    Flag("job_memory", _INTEGER, 256, "MiB that their results may take", _WORKS, least=1),
    Flag("job_dir", FlagKind.PATH, None, "keep them in this folder, over restarts", _WORKS),
    Flag(
        "backend",
        FlagKind.TEXT,
        "torch",
        "what makes the pictures: torch; fake, which draws discs at once and needs no torch; or "
        "what an installed package declares",
        _WORKS,
    ),
    Flag(
        "strict_networks",
        help="answer 422 if a LoRA or hypernetwork is missing or does not fit the checkpoint",
        effect=_WORKS,
    ),
    Flag(
        "threads",
        _INTEGER,
        None,
        "threads for torch, of the whole process (default: torch's choice)",
        _WORKS,
        least=1,
    ),
    Flag(
        "api_auth_file",
        FlagKind.PATH,
        None,
        "file of users, user:password by line or comma; unlike --api-auth no process list shows it",
        _WORKS,
    ),
    Flag("api_token_file", FlagKind.PATH, None, "file of bearer tokens, one a line", _WORKS),
    Flag(
        "api_rate",
        FlagKind.TEXT,
        None,
        "requests each client may make, as in 60/m (by s, m or h); beyond it 429",
        _WORKS,
    ),
    Flag(
        "trusted_proxy",
        FlagKind.TEXT,
        None,
        "address of a proxy whose X-Forwarded-For, -Host and -Proto are trusted",
        _WORKS,
    ),
    Flag("max_body", _INTEGER, 64, "largest request body, MiB", _WORKS, least=1),
    Flag("help", help="show this help and exit", effect=_WORKS),
)
