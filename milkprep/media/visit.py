"""What becomes of one address: asked for, and received within bounds; or a status and a reason in words."""

import hashlib
import itertools
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from milkprep.media import answers
from milkprep.media.addresses import PLACEHOLDER, Refused
from milkprep.media.answers import GIVEN_UP, Failed, Transient
from milkprep.media.cache import START_BYTES, Cache
from milkprep.media.inspectors import Arrived
from milkprep.media.queue import Queue, Turn
from milkprep.media.transport import Timer
from schemas.contracts import AssetStatus

#: Times an address is asked for.
TRIES = 4
#: Answers that mean that there is nothing, and never will be.
GONE = (404, 410)
#: Answers up to here stay in memory until they are decoded, in bytes.
SMALL = 1 << 18


@dataclass(frozen=True, slots=True)
class Visited:
    """What became of an address, as `downloads` has it."""

    address: str
    status: AssetStatus
    reason: str | None = None
    content_sha256: str | None = None
    n_bytes: int | None = None
    file: str | None = None


class _OnlyPlaceholder(Exception):
    """An address, or one it redirects to, says that there is no picture."""


class Visitor:
    """Visits addresses, from many threads at once.

    Args:
        timer: of the transports.
        queue: where the turns come from.
        cache: where contents are kept.
        deadline_s: seconds an address may take, repetitions included.
        max_bytes: of an answer; larger ones are refused while they arrive.
    """

    def __init__(
        self,
        *,
        timer: Timer,
        queue: Queue,
        cache: Cache,
        deadline_s: float,
        max_bytes: int,
    ) -> None:
        self._timer, self._queue = timer, queue
        self._cache, self._numbers = cache, itertools.count()
        self._deadline_s, self._max_bytes = deadline_s, max_bytes

    def visit(self, turn: Turn, transport: httpx2.BaseTransport) -> Visited | Arrived:
        """Fetch what lies at an address.

        Args:
            turn: the right to ask its host; given up when the answer has arrived.
            transport: of the calling thread; carries the questions.

        Returns:
            What has arrived, to be decoded; or what became of the address, where nothing has.

        Raises:
            Stopped: if the run was stopped.
            OSError: if the cache cannot be written to.
        """
        try:
            if PLACEHOLDER in turn.address:
                raise _OnlyPlaceholder
            return self._arrived(turn, transport)
        except _OnlyPlaceholder:
            return Visited(turn.address, AssetStatus.ABSENT, "only a 'no image' placeholder")
        except Refused as refused:
            return Visited(turn.address, AssetStatus.FETCH_ERROR, str(refused))
        except Failed as failed:
            if failed.status in GONE:
                return Visited(turn.address, AssetStatus.ABSENT, f"the server has nothing there (HTTP {failed.status})")
            return Visited(turn.address, AssetStatus.FETCH_ERROR, failed.reason)
        finally:
            turn.leave()

    def _arrived(self, turn: Turn, transport: httpx2.BaseTransport) -> Arrived:
        with self._timer.limit(self._deadline_s):
            try:
                return self._asked(turn, transport)
            except Transient as failure:
                first = failure
            try:
                return self._asked_again(turn, transport, first)
            except Transient as failure:
                self._queue.fruitless(turn.host)  # not there, silent or busy: whatever it is, it lasts
                if self._timer.left() <= 0 and not failure.unreachable:
                    raise Failed(f"it was not there within {self._deadline_s:g} seconds") from failure
                raise

    def _asked_again(self, turn: Turn, transport: httpx2.BaseTransport, first: Transient) -> Arrived:
        """Repeat what failed once; nearly all addresses need no repetition, and do without the machinery of it."""
        failed_before = iter([first])

        def attempt() -> Arrived:
            for failure in failed_before:
                raise failure
            return self._asked(turn, transport)

        again = answers.retrying(left=self._timer.left, sleep=lambda s: self._rest(turn, s), fruitless=lambda n: self._is_enough(turn, n))
        return again(attempt)

    def _is_enough(self, turn: Turn, n_tries: int) -> bool:
        return n_tries >= TRIES or self._queue.is_given_up(turn.host)

    def _rest(self, turn: Turn, seconds: float) -> None:
        """Wait before another try; others may ask the host meanwhile, unless it is the one that wants rest."""
        turn.leave()
        self._timer.sleep(seconds)

    def _asked(self, turn: Turn, transport: httpx2.BaseTransport) -> Arrived:
        def hop(url: httpx2.URL) -> None:
            if PLACEHOLDER in url.path:
                raise _OnlyPlaceholder
            turn.move(url.host)
            if self._queue.is_given_up(url.host):
                raise Failed(GIVEN_UP)

        try:
            with answers.ask(transport, turn.address, hop=hop) as answer:
                self._queue.answered(turn.host)
                return self._received(turn.address, answer)
        except Failed as failure:
            if not isinstance(failure, Transient):
                if failure.status is not None:
                    self._queue.answered(turn.host)  # it refuses, and so it is there
                raise
            if failure.status == 429 or failure.wait_s:
                self._queue.rest(turn.host, min(failure.wait_s or answers.FIRST_WAIT_S, answers.LONGEST_RETRY_AFTER_S))
            raise

    def _received(self, address: str, answer: httpx2.Response) -> Arrived:
        """The body, in memory or, where it is large, in a file; never more of it than allowed."""
        if answer.status_code != 200:
            raise Failed(f"the server gives no content (HTTP {answer.status_code})", status=answer.status_code)
        stated = answer.headers.get("content-length", "")
        if stated.isdigit() and int(stated[:20]) > self._max_bytes:
            raise self._too_large()
        file: Path | None = None
        sha256, received, n_bytes = hashlib.sha256(), bytearray(), 0
        try:
            for block in _decompressed(answer, self._max_bytes):
                n_bytes += len(block)
                if n_bytes > self._max_bytes:
                    raise self._too_large()
                if self._timer.left() <= 0:
                    raise Transient("it is slow")  # told by the deadline
                sha256.update(block)
                received += block
                if len(received) > SMALL:
                    file = self._moved(received, file)
            place = self._cache.place(sha256.hexdigest(), self._start(received, file))
            return Arrived(address, bytes(received) if file is None else self._moved(received, file), sha256.hexdigest(), n_bytes, place)
        except BaseException:
            if file:  # hundreds of megabytes of what nobody keeps would fill the disk
                file.unlink(missing_ok=True)
            raise

    def _moved(self, received: bytearray, file: Path | None) -> Path:
        """Move what is held in memory to the end of a file."""
        file = file or self._cache.incoming / f"{threading.get_ident()}-{next(self._numbers)}"
        with file.open("ab") as stream:
            stream.write(received)
        received.clear()
        return file

    @staticmethod
    def _start(received: bytearray, file: Path | None) -> bytes:
        if file is None:
            return bytes(received[:START_BYTES])
        with file.open("rb") as stream:
            return stream.read(START_BYTES)

    def _too_large(self) -> Failed:
        return Failed(f"it is larger than {self._max_bytes} bytes")


def _decompressed(answer: httpx2.Response, max_bytes: int) -> Iterator[bytes]:
    """The body's blocks; one that was compressed although that was not asked for is unpacked no further than allowed.

    Raises:
        Failed: if it is in another encoding, or breaks off.
    """
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    blocks: Iterator[bytes] = iter(answer.stream)  # type: ignore[arg-type]  # the stream of a synchronous transport
    if encoding in ("identity", ""):
        yield from blocks
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Failed("the server sends it in an encoding that was not asked for")
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, by its header
    try:
        for block in blocks:
            yield unpacker.decompress(block, max_bytes + 1)  # more than allowed ends it; so nothing stays behind unseen
    except zlib.error as error:
        raise Failed("the server sends it compressed, and broken") from error
    if not unpacker.eof:
        raise Failed("the server sends it compressed, and broken")
