"""Connections that go only where they may, and end when their time is over.

`GuardedTransport` is httpx2's own transport on sockets that are connected to checked addresses, and whose every wait - for a
connection, for each byte of a header, for a body - is cut off by a deadline of the calling thread. So a server that sends
one byte a second ends like one that sends nothing. Proxies named in the environment are not used: behind one, nothing
could be checked.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLContext

import httpcore2
import httpx2

from milkprep.media import addresses

#: Seconds a wait for bytes goes on before it looks whether the run was stopped.
SLICE_S = 0.5
#: Seconds an idle connection is kept for the next address of its host.
KEEP_S = 30.0
#: Connections a thread keeps open, e.g. to a few hosts in turn.
CONNECTIONS = 4

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class Stopped(Exception):
    """The run was stopped while an answer was awaited."""


class _Deadline(threading.local):
    at: float = float("inf")


class Timer:
    """The deadlines of many threads, and one switch that ends them all."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._deadline = _Deadline()

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Let the present thread's waits end this many seconds from now."""
        self._deadline.at = time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline.at = float("inf")

    def left(self) -> float:
        """Seconds until the present thread's deadline; infinite where there is none, negative where it has passed.

        Raises:
            Stopped: if the run was stopped.
        """
        if self.stopped.is_set():
            raise Stopped
        return self._deadline.at - time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than the run goes on.

        Raises:
            Stopped: if the run was stopped.
        """
        if self.stopped.wait(seconds):
            raise Stopped


class GuardedTransport(httpx2.HTTPTransport):
    """httpx2's transport with checked connections and deadlines.

    Args:
        timer: whose deadlines hold.
        allow_private: whether connections may leave the public internet.
        trusted: certificates, where several transports share them: to load them takes longer than an answer.

    One thread uses it at a time: threads that share one wait for each other more than for servers.
    """

    def __init__(self, *, timer: Timer, allow_private: bool, trusted: SSLContext | None = None) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=trusted or httpx2.create_ssl_context(),
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=KEEP_S,
            network_backend=_Backend(timer, allow_private=allow_private),
        )


class _Backend(httpcore2.SyncBackend):
    """Connects to what a name was checked to lead to; the name itself stays that of the TLS certificate and the Host header."""

    def __init__(self, timer: Timer, *, allow_private: bool) -> None:
        self._timer, self._allow_private = timer, allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            numbers = addresses.resolve(host, port, allow_private=self._allow_private)
        except OSError as error:
            raise httpcore2.ConnectError("its name leads nowhere") from error
        for number in numbers[:-1]:
            try:
                return self._connected(number, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return self._connected(numbers[-1], port, timeout, local_address, socket_options)

    def _connected(
        self, number: str, port: int, timeout: float | None, local: str | None, options: Iterable[SocketOption] | None
    ) -> httpcore2.NetworkStream:
        patience = _within(timeout, self._timer.left(), httpcore2.ConnectTimeout)
        return _Stream(super().connect_tcp(number, port, timeout=patience, local_address=local, socket_options=options), self._timer)


class _Stream(httpcore2.NetworkStream):
    """A connection whose waits are cut into slices, each within the deadline of the thread that waits."""

    def __init__(self, stream: httpcore2.NetworkStream, timer: Timer) -> None:
        self._stream, self._timer = stream, timer

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        patience = _within(timeout, self._timer.left(), httpcore2.ReadTimeout)
        while True:
            try:
                return self._stream.read(max_bytes, timeout=min(patience, SLICE_S))
            except httpcore2.ReadTimeout:
                patience -= SLICE_S
                if patience <= 0:
                    raise
                self._timer.left()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_within(timeout, self._timer.left(), httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore2.NetworkStream:
        patience = _within(timeout, self._timer.left(), httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout=patience), self._timer)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _within(timeout: float | None, left: float, kind: type[httpcore2.TimeoutException]) -> float:
    """Seconds to wait at most."""
    if left <= 0:
        raise kind("the deadline has passed")
    return min(left, 3600.0 if timeout is None else timeout)
