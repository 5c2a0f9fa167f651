"""Flags that only Hexfusion has. They are not part of `GET /cmd-flags`."""

from hexfusion.domain.flags.flag import Flag, FlagEffect, FlagKind
from hexfusion.domain.flags.limits import LIMITS

_INTEGER, _WORKS = FlagKind.INTEGER, FlagEffect.WORKS

OWN = (
    *LIMITS,
    Flag(
        "job_dir",
        FlagKind.PATH,
        None,
        "keep accepted and finished jobs in this folder, over restarts",
        _WORKS,
    ),
    Flag(
        "on_restart",
        FlagKind.TEXT,
        "requeue",
        "what becomes of a job in --job-dir whose work a restart cut off: requeue does it again,"
        " once; jobs that only waited are always done",
        _WORKS,
        choices=("requeue", "fail"),
    ),
    Flag(
        "spool_dir",
        FlagKind.PATH,
        None,
        "folder for the pictures of running jobs, in files without a name (default: $TMPDIR, or"
        " /tmp); better none that lies in memory",
        _WORKS,
    ),
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
        "api_admin",
        FlagKind.TEXT,
        None,
        "users and tokens (by their names in the log), a,b, who alone may change options, load and"
        " unload, refresh lists, stop the server, read the system report, and who see and stop the"
        " jobs of all; without it everybody who may call may do all but the last",
        _WORKS,
    ),
    Flag(
        "allowed_hosts",
        FlagKind.TEXT,
        None,
        "host names that are answered to besides localhost, IP addresses and --server-name, as in"
        " a.example,*.b.example (*: any); not needed with accounts",
        _WORKS,
    ),
    Flag(
        "trusted_proxy",
        FlagKind.TEXT,
        None,
        "address of a proxy whose X-Forwarded-For, -Host and -Proto are trusted",
        _WORKS,
    ),
    Flag("help", help="show this help and exit", effect=_WORKS),
)
