"""Stopping the server from afar: only behind `--api-server-stop`. Source: spec api.md 15."""

from typing import Protocol

import falcon


class ProcessControl(Protocol):
    """What may be done to the process that serves."""

    def stop(self) -> None:
        """Finish what is under way, then leave."""
        ...

    def restart(self) -> bool:
        """The same, and ask whoever started the process to start it again.

        False, and nothing happens, where nobody would.
        """
        ...

    def kill(self) -> None:
        """Leave at once. Does not return."""
        ...


class Stop:
    """`POST /sdapi/v1/server-stop`. In A1111 only the web UI heeds it."""

    def __init__(self, process: ProcessControl) -> None:
        self._process = process

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.text = "Stopping."
        resp.content_type = falcon.MEDIA_TEXT
        self._process.stop()


class Restart:
    """`POST /sdapi/v1/server-restart`"""

    def __init__(self, process: ProcessControl) -> None:
        self._process = process

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        restarts = self._process.restart()
        resp.status = falcon.HTTP_200 if restarts else falcon.HTTP_501
        resp.text = "Restarting." if restarts else ""
        resp.content_type = falcon.MEDIA_TEXT


class Kill:
    """`POST /sdapi/v1/server-kill`: there is no answer."""

    def __init__(self, process: ProcessControl) -> None:
        self._process = process

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._process.kill()
