"""HTTPS: one thread that takes TLS off connections before waitress sees them.

Waitress has no TLS, and its loop cannot drive sockets that have: a TLS socket may hold bytes that
`poll` knows nothing of. So every accepted connection is replaced by one end of a socket pair; the
other end is joined to the client by asyncio, whose TLS is the standard library's own. Nothing
listens in plain text, waitress still knows the client's address, and still sees it leave.
"""

import asyncio
import logging
import socket
import ssl
import threading
from contextlib import suppress

_log = logging.getLogger(__name__)

#: Seconds a client has for the handshake, and for the goodbye.
_HANDSHAKE = 10.0
_GOODBYE = 5.0
#: Bytes moved at once.
_PIECE = 65536


def server_context(certfile: str, keyfile: str) -> ssl.SSLContext:
    """TLS 1.2 or newer with this certificate chain and key, both PEM.

    Raises `OSError` (`ssl.SSLError` is one) where they are missing, no match, or encrypted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certfile, keyfile, password=lambda: "")  # else OpenSSL would ask
    return context


class TlsTerminator:
    """Takes TLS off connections. `wrap` may be called between `start` and `stop`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls", daemon=True)
        self._relays: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._thread.start()

    def wrap(self, client: socket.socket) -> socket.socket:
        """A socket with what the client means in plain. Returns at once, before the handshake."""
        plain, ours = socket.socketpair()
        self._loop.call_soon_threadsafe(self._begin, client, ours)
        return plain

    def stop(self, timeout: float) -> None:
        """Close every connection; what is on its way to clients has `timeout` seconds."""
        asyncio.run_coroutine_threadsafe(self._finish(timeout), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _begin(self, client: socket.socket, ours: socket.socket) -> None:
        relay = self._loop.create_task(self._relay(client, ours))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _finish(self, timeout: float) -> None:
        if self._relays:
            _, late = await asyncio.wait(self._relays, timeout=timeout)
            for relay in late:
                relay.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _relay(self, client: socket.socket, ours: socket.socket) -> None:
        """Join the two until either closes. Errors of the connection end it, and nothing else."""
        try:
            plain = await asyncio.open_connection(sock=ours)
            try:
                secure = await self._accept(client)
                try:
                    await _join(secure, plain)
                finally:
                    await _close(secure[1])
            finally:
                await _close(plain[1])
        except OSError as error:  # TLS errors too
            _log.debug("a TLS connection ended: %s", error)
        finally:
            ours.close()
            client.close()

    async def _accept(self, client: socket.socket) -> "_Streams":
        """The streams of `client`, after the handshake."""
        reader = asyncio.StreamReader(_PIECE)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol,
            client,
            ssl=self._context,
            ssl_handshake_timeout=_HANDSHAKE,
            ssl_shutdown_timeout=_GOODBYE,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(one: _Streams, other: _Streams) -> None:
    """Copy both ways until one side has no more to say."""
    ways = [
        asyncio.ensure_future(_copy(one[0], other[1])),
        asyncio.ensure_future(_copy(other[0], one[1])),
    ]
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    for way in done:
        way.result()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close after what was written is sent; cancelled, at once."""
    writer.close()
    try:
        with suppress(OSError):
            await writer.wait_closed()
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
