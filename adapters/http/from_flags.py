"""Creates the WSGI application and runs the server, according to the command-line flags."""

import faulthandler
import logging
import ssl
import sys
from collections.abc import Callable

import falcon

from hexfusion.adapters.http.access.body_memory import BodyMemory
from hexfusion.adapters.http.access.from_flags import access_log, cors, gate
from hexfusion.adapters.http.app import Services, create_app
from hexfusion.adapters.http.documents.openapi import ADMIN_ROUTES
from hexfusion.adapters.http.server import serve, threads_for
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.flags import Flags

#: Seconds that running jobs have to end when the server stops.
GRACE = 30.0

log = logging.getLogger("hexfusion")


def make_app(
    flags: Flags, make_services: Callable[[], Services], version: str
) -> falcon.App[falcon.Request, falcon.Response]:
    """The WSGI application. Raises `FlagError`, before the services are made: a wrong flag is
    reported at once, not after a backend was imported."""
    entry, pages, lines = gate(flags, ADMIN_ROUTES), cors(flags), access_log(flags)
    return create_app(
        make_services(),
        version=version,
        max_body=flags.max_body,
        max_values=flags.integer("body_values"),
        gate=entry,
        cors=pages,
        log=lines,
        memory=BodyMemory(flags.integer("waiting_memory") << 20),
        limits=flags.limits(),
        maxima=flags.job_limits().maxima(),
    )


def stop_jobs(board: JobBoard, options: OptionsStore) -> None:
    """Stop accepting jobs; with option dump_stacks_on_signal, first print the stacks of all
    threads to standard error."""
    if options.snapshot().flag("dump_stacks_on_signal"):
        faulthandler.dump_traceback(all_threads=True)
    board.stop(GRACE)


def serve_app(
    flags: Flags,
    app: falcon.App[falcon.Request, falcon.Response],
    board: JobBoard,
    options: OptionsStore,
    tls: ssl.SSLContext | None,
) -> int:
    """Serve until a signal stops the server, then end the board's jobs; returns the exit status."""
    scheme = "https" if tls else "http"
    try:
        serve(
            app,
            host=flags.host,
            port=flags.port,
            threads=threads_for(
                flags.integer("slots"), flags.integer("queue"), flags.integer("loads_waiting")
            ),
            max_body=flags.max_body,
            keep_alive=flags.integer("timeout_keep_alive"),
            prefix=flags.text("subpath"),
            trusted_proxy=flags.text("trusted_proxy"),
            tls=tls,
            on_ready=lambda port: log.info("ready: %s://%s:%d/docs", scheme, flags.host, port),
            grace=GRACE,
            on_stop=lambda: stop_jobs(board, options),
            busy=lambda: board.busy,
        )
    except OSError as error:
        print(f"hexfusion: cannot listen on {flags.host}:{flags.port}: {error}", file=sys.stderr)
        return 1
    return 0
