"""Asks the application about a request whose body has not been read."""

from collections.abc import Callable
from typing import Any

from waitress.proxy_headers import proxy_headers_middleware

from hexfusion.adapters.http.middleware import SMALL_BODY
from hexfusion.adapters.http.serving.channel import Channel
from hexfusion.adapters.http.serving.parser import Parser

#: Returns the longest body, in bytes, for the request of a WSGI environment; may add to that.
Admit = Callable[[dict[str, Any]], int]


class Heads:
    """What `Listener` calls a judge."""

    def __init__(self, admit: Admit, adj: Any) -> None:
        """`adj` are waitress's settings: those about proxies are applied as for the application."""
        self._through_proxy = proxy_headers_middleware(
            lambda environ, start_response: [admit(environ)],
            trusted_proxy=adj.trusted_proxy,
            trusted_proxy_count=adj.trusted_proxy_count,
            trusted_proxy_headers=adj.trusted_proxy_headers,
        )

    def __call__(self, channel: Channel, request: Parser) -> int:
        """The longest body, in bytes, to be read. Fills `request.judged`."""
        environ = channel.task_class(channel, request).get_environment()
        before = set(environ)
        answer = list(self._through_proxy(environ, _nothing))
        # Where the proxy's headers are no such, it answers by itself, and will so once more.
        bound = answer[0] if isinstance(answer[0], int) else SMALL_BODY
        added = environ.keys() - before
        request.judged = {key: environ[key] for key in added if key.startswith("hexfusion.")}
        return min(bound, channel.server.max_body)


def _nothing(status: str, headers: list[tuple[str, str]]) -> None:
    """Stands for WSGI's `start_response`."""
