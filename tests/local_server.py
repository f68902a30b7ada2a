"""A local web server that does as a test tells it: slow, stalled, cut short, busy, redirecting, changed meanwhile.

    with serve({"/a.png": Page(body)}) as server:
        fetch(server.address("/a.png"), ..., allow_private=True)
        assert server.asked == ["/a.png"]

A path may have several pages, one a request; the last one stays.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Page:
    """One answer.

    Args:
        body: the whole file.
        status: of HTTP; a range of a body with an `etag` is answered with 206.
        headers: more headers, e.g. Retry-After or Location.
        etag: quoted validator; ranges are served where there is one.
        length: Content-Length to claim, where it is not the body's; -1: none, the end of the connection ends the body.
        cut_after: bytes of the body after which the connection is closed.
        delay_s: before the answer.
        trickle_s: before each single byte of the body.
        trickle_head_s: before each single byte of the headers.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    length: int | None = None
    cut_after: int | None = None
    delay_s: float = 0.0
    trickle_s: float = 0.0
    trickle_head_s: float = 0.0


MISSING = Page(b"no such page", status=404)


class LocalServer(ThreadingHTTPServer):
    """Pages by path, and a record of who asked for what."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, pages: Mapping[str, Page | Sequence[Page]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = {path: list(given) if isinstance(given, Sequence) else [given] for path, given in pages.items()}
        self.asked: list[str] = []  # paths, in the order of requests
        self.ranges: list[str | None] = []  # the Range header of each
        self.hosts: list[str | None] = []  # the Host header of each
        self.at_once, self.most_at_once = 0, 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._times: Counter[str] = Counter()

    def address(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{path}"

    def answer(self, path: str, headers: Mapping[str, str]) -> Page:
        with self._lock:
            self.asked.append(path)
            self.ranges.append(headers.get("Range"))
            self.hosts.append(headers.get("Host"))
            pages = self.pages.get(path, [MISSING])
            self._times[path] += 1
            return pages[min(self._times[path], len(pages)) - 1]

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= 1

    def handle_error(self, request, client_address):
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: LocalServer

    def do_GET(self) -> None:
        page = self.server.answer(self.path, self.headers)
        with self.server.counted():
            self.server.closing.wait(page.delay_s)
            status, body, headers = self._part(page)
            self._send_head(page, status, headers, len(body))
            self._send_body(page, body)

    def log_message(self, *arguments: object) -> None:
        """Nothing on the terminal."""

    def _part(self, page: Page) -> tuple[int, bytes, dict[str, str]]:
        headers = dict(page.headers) | ({"ETag": page.etag} if page.etag else {})
        asked = self.headers.get("Range", "")
        if page.status != 200 or page.etag is None or not asked or self.headers.get("If-Range") not in (None, page.etag):
            return page.status, page.body, headers
        first, total = int(asked.removeprefix("bytes=").partition("-")[0]), len(page.body)
        if first >= total:
            return 416, b"", headers | {"Content-Range": f"bytes */{total}"}
        return 206, page.body[first:], headers | {"Content-Range": f"bytes {first}-{total - 1}/{total}"}

    def _send_head(self, page: Page, status: int, headers: dict[str, str], n_bytes: int) -> None:
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        if page.length != -1:
            lines.append(f"Content-Length: {n_bytes if page.length is None else page.length}")
        if page.length is not None or page.cut_after is not None:
            lines.append("Connection: close")
            self.close_connection = True
        self._send("\r\n".join([*lines, "", ""]).encode(), page.trickle_head_s)

    def _send_body(self, page: Page, body: bytes) -> None:
        self._send(body if page.cut_after is None else body[: page.cut_after], page.trickle_s)

    def _send(self, data: bytes, pause_s: float) -> None:
        if not pause_s:
            self.wfile.write(data)
            return
        for at in range(len(data)):
            if self.server.closing.wait(pause_s):
                return
            self.wfile.write(data[at : at + 1])
            self.wfile.flush()


@contextmanager
def serve(pages: Mapping[str, Page | Sequence[Page]]) -> Iterator[LocalServer]:
    """A running server; it ends with the block, answers under way included."""
    server = LocalServer(pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def within(seconds: float, started: float) -> bool:
    """Whether something that began at a monotonic time took less than this; for bounds far above what is expected."""
    return time.monotonic() - started < seconds
