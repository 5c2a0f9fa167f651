"""HTTPS: a thread that terminates TLS in front of waitress.

Waitress has no TLS, and its loop cannot use TLS sockets: they may buffer bytes that `poll` does not
report. So every accepted connection is replaced by one end of a socket pair; asyncio relays between
the other end and the client's TLS connection. No plain-text port is opened, and waitress still sees
the client's address and its disconnect.
"""

import asyncio
import logging
import socket
import ssl
import threading
from contextlib import suppress

_log = logging.getLogger(__name__)

#: Timeouts in seconds of the TLS handshake and of the TLS shutdown.
_HANDSHAKE = 10.0
_GOODBYE = 5.0
#: Buffer size of a relay, in bytes.
_PIECE = 65536


def server_context(certfile: str, keyfile: str) -> ssl.SSLContext:
    """A server context for TLS 1.2 or newer with this certificate chain and key, both PEM files.

    Raises `OSError` (also `ssl.SSLError`) if they are missing, do not match, or are encrypted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certfile, keyfile, password=lambda: "")  # else OpenSSL would ask
    return context


class TlsTerminator:
    """Terminates the TLS of connections. `wrap` may be called between `start` and `stop`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls", daemon=True)
        self._relays: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._thread.start()

    def wrap(self, client: socket.socket) -> socket.socket:
        """A socket with the decrypted data of a client. Returns at once, before the handshake."""
        plain, ours = socket.socketpair()
        self._loop.call_soon_threadsafe(self._begin, client, ours)
        return plain

    def stop(self, timeout: float) -> None:
        """Close all connections; data still being sent has `timeout` seconds."""
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
        """Relay data until either side closes. A connection error ends only this relay."""
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
    """Copy in both directions until one side closes."""
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
    """Close after buffered data is sent; at once if cancelled."""
    writer.close()
    try:
        with suppress(OSError):
            await writer.wait_closed()
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
