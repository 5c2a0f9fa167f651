"""Creates the WSGI application and runs the server, according to the command-line flags."""

import faulthandler
import logging
import ssl
import sys
from collections.abc import Callable

from hexfusion.adapters.http.access.body_memory import BodyMemory
from hexfusion.adapters.http.access.from_flags import access_log, accounts, cors, gate, hosts
from hexfusion.adapters.http.app import Application, Services, create_app
from hexfusion.adapters.http.documents.openapi import ADMIN_ROUTES
from hexfusion.adapters.http.serving.limits import ConnectionLimits
from hexfusion.adapters.http.serving.server import serve, threads_for
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.flags import Flags

log = logging.getLogger("hexfusion")


def make_app(flags: Flags, make_services: Callable[[], Services], version: str) -> Application:
    """The WSGI application. Raises `FlagError`, before the services are made: a wrong flag is
    reported at once, not after a backend was imported."""
    known = accounts(flags)
    own = hosts(flags, known)
    entry, pages = gate(flags, ADMIN_ROUTES, known), cors(flags, own)
    lines = access_log(flags)
    return create_app(
        make_services(),
        version=version,
        max_body=flags.max_body,
        max_values=flags.integer("body_values"),
        gate=entry,
        cors=pages,
        hosts=own,
        log=lines,
        memory=BodyMemory(flags.integer("waiting_memory") << 20),
        limits=flags.limits(),
        maxima=flags.job_limits().maxima(),
    )


def connection_limits(flags: Flags) -> ConnectionLimits:
    """What bounds connections."""
    return ConnectionLimits(
        connections=flags.integer("connections"),
        connections_per_address=flags.integer("connections_per_address"),
        max_header=flags.integer("max_header") << 10,
        header_timeout=flags.integer("header_timeout"),
        body_timeout=flags.integer("body_timeout"),
        stall_timeout=flags.integer("stall_timeout"),
        least_rate=flags.integer("least_rate"),
        keep_alive=flags.integer("timeout_keep_alive"),
    )


def stop_jobs(board: JobBoard, options: OptionsStore, grace: float) -> None:
    """Stop accepting jobs, and end those that run within `grace` seconds.

    With option dump_stacks_on_signal, first print the stacks of all threads to standard error.
    """
    if options.snapshot().flag("dump_stacks_on_signal"):
        faulthandler.dump_traceback(all_threads=True)
    board.stop(grace)


def serve_app(
    flags: Flags,
    app: Application,
    board: JobBoard,
    options: OptionsStore,
    tls: ssl.SSLContext | None,
) -> int:
    """Serve until a signal stops the server, then end the board's jobs; returns the exit status."""
    scheme = "https" if tls else "http"
    grace = float(flags.integer("grace"))
    try:
        serve(
            app,
            host=flags.host,
            port=flags.port,
            threads=threads_for(
                flags.integer("slots"), flags.integer("queue"), flags.integer("loads_waiting")
            ),
            max_body=flags.max_body,
            limits=connection_limits(flags),
            prefix=flags.text("subpath"),
            trusted_proxy=flags.text("trusted_proxy"),
            tls=tls,
            on_ready=lambda port: log.info("ready: %s://%s:%d/docs", scheme, flags.host, port),
            grace=grace,
            on_stop=lambda: stop_jobs(board, options, grace),
            busy=lambda: board.busy,
        )
    except OSError as error:
        print(f"hexfusion: cannot listen on {flags.host}:{flags.port}: {error}", file=sys.stderr)
        return 1
    return 0
