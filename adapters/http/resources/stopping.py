"""Routes that stop the server, only with `--api-server-stop`. Source: spec api.md 15."""

from typing import Protocol

import falcon


class ProcessControl(Protocol):
    """Control of the server process."""

    def stop(self) -> None:
        """Finish running requests, then exit."""
        ...

    def restart(self) -> bool:
        """Stop, and request a restart from the supervisor that started the process.

        Returns False, and does nothing, if there is no supervisor.
        """
        ...

    def kill(self) -> None:
        """Exit at once. Does not return."""
        ...


class Stop:
    """`POST /sdapi/v1/server-stop`. In A1111 it has an effect with the web UI only."""

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
    """`POST /sdapi/v1/server-kill`: sends no reply."""

    def __init__(self, process: ProcessControl) -> None:
        self._process = process

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._process.kill()
