"""One large file from an address to a folder: resumed, verified, and never there under its name before it is whole.

What has arrived lies in `<name>.part`; beside it `<name>.part.json` remembers which file that is the start of (its ETag or
Last-Modified), so that a file that changed meanwhile is begun anew rather than glued together.

A file is whole when the length that the server states has arrived, or the end of a chunked transfer (httpx2 raises where either is
not reached); where a server gives neither, and simply closes, only a published length or checksum can tell.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schemas import durable, fingerprint
from schemas.errors import SourceError
from schemas.reporting import Progress, Reporter

if TYPE_CHECKING:
    from httpx2 import BaseTransport, Response

    from milkprep.media.transport import Timer

logger = logging.getLogger(__name__)

#: Tries without anything worth mentioning arriving; each that brings this much counts as a new start.
TRIES, WORTH_BYTES = 6, 1 << 16
#: Seconds over which a server has to bring `MIN_RATE` bytes a second on average.
PATIENCE_S, MIN_RATE = 30.0, 1024
MIB = 1 << 20
UNBOUNDED = "the server does not say how long it is, so a file cut short would pass for a whole one"


@dataclass(frozen=True, slots=True)
class _Started:
    """What a partial file is the start of. `total`: bytes of the whole, None where the server does not say."""

    address: str
    validator: str
    total: int | None


def fetch(
    address: str,
    target: Path,
    *,
    sha256: str | None = None,
    n_bytes: int | None = None,
    allow_private: bool = False,
    deadline_s: float | None = None,
    reporter: Reporter,
) -> Path:
    """Fetch a file, or find it fetched.

    Args:
        address: http or https.
        target: where the file is to lie; its folder is made. A file there that is not another than asked for is kept as it is.
        sha256: 64 hex digits, where they are published.
        n_bytes: its length, where it is published.
        allow_private: whether the address may lead into this machine or a private network.
        deadline_s: seconds it may take altogether; None: as long as the server brings at least `MIN_RATE` bytes a second.
        reporter: told how many MiB have arrived.

    Returns:
        `target`.

    Raises:
        SourceError: if the file cannot be had, is another than published, or could be cut short without anybody knowing: its length is
            stated nowhere and its transfer has no end of its own. What has arrived is kept, and resumed by the next call.
    """
    from milkprep.media.transport import GuardedTransport, Timer

    if _is_whole(target, sha256=sha256, n_bytes=n_bytes):
        logger.info("%s is there already", target)
        return target
    timer = Timer()
    part = _Part(address, target, n_bytes, checked=sha256 is not None)
    with _in_words(address, target), _folder(target.parent), GuardedTransport(timer=timer, allow_private=allow_private) as transport:
        with timer.limit(deadline_s or float("inf")), reporter.progress(target.name, total=None, unit="MiB") as progress:
            _tried(part, transport, timer, progress)
        part.verify(sha256)
        part.finish()
    return target


def _is_whole(target: Path, *, sha256: str | None, n_bytes: int | None) -> bool:
    if not target.is_file() or (n_bytes is not None and target.stat().st_size != n_bytes):
        return False
    return sha256 is None or fingerprint.of_file(target) == sha256.lower()


def _tried(part: "_Part", transport: "BaseTransport", timer: "Timer", progress: Progress) -> None:
    """Ask until the file is whole, or asking has become pointless."""
    from milkprep.media.answers import retrying

    tries_at = {"start": 0, "bytes": 0}

    def pointless(n_tries: int) -> bool:
        if part.reached - tries_at["bytes"] >= WORTH_BYTES:
            tries_at.update(start=n_tries, bytes=part.reached)
        return n_tries - tries_at["start"] >= TRIES

    retrying(left=timer.left, sleep=timer.sleep, fruitless=pointless)(part.continued, transport, timer, progress)


class _Part:
    """A file under way."""

    def __init__(self, address: str, target: Path, n_bytes: int | None, *, checked: bool) -> None:
        self.address, self.target, self.n_bytes, self.checked = address, target, n_bytes, checked
        self.file, self.note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
        self.reached = 0  # the place in the file that this process came to; what is begun anew is no progress

    def continued(self, transport: "BaseTransport", timer: "Timer", progress: Progress) -> None:
        """Ask once for what is missing, and write what comes."""
        from milkprep.media.answers import ask

        started, offset = self._started()
        wanted = {"Range": f"bytes={offset}-", "If-Range": started.validator} if started and offset else {}
        with ask(transport, self.address, headers=wanted) as answer:
            if answer.status_code == 416:
                self._compare_with_end(answer, started, offset)
                return
            total, offset = self._agreed(answer, started, offset)
            self._receive(answer, timer, progress, offset=offset)
        self._refuse_cut(total)

    def _started(self) -> tuple[_Started | None, int]:
        """What is there of the file, and how many bytes of it; nothing that cannot be vouched for."""
        try:
            held = json.loads(self.note.read_bytes())
            started = _Started(str(held["address"]), str(held["validator"]), held["total"])
            return (started, self.file.stat().st_size) if started.address == self.address and started.validator else (None, 0)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None, 0

    def _agreed(self, answer: "Response", started: _Started | None, offset: int) -> tuple[int | None, int]:
        """Length of the whole, and where this answer begins in it.

        Raises:
            Failed: if it is no part of the file asked for, or of another length than published.
        """
        from milkprep.media.answers import Failed, Transient, content_range, place_in_file, validator

        if answer.headers.get("content-encoding", "identity") != "identity" and not self.target.name.endswith(".gz"):
            raise Failed("the server sends it in another encoding than asked for")
        if answer.status_code == 206 and started:
            begin, total = content_range(answer.headers.get("content-range", ""))
            if begin != offset or (started.total is not None and total not in (None, started.total)):
                self.forget()
                raise Failed("the server sent another part than asked for; nothing of it was kept")
            if (theirs := validator(answer)) and theirs != started.validator:
                self.forget()
                raise Transient("the file changed on the server while it was fetched; it is begun anew")
            if total is None and started.total is None and not self._is_verified:
                self.forget()
                raise Failed(UNBOUNDED)
            return started.total if total is None else total, offset
        if answer.status_code != 200:
            raise Failed(f"the server gives an answer nobody asked for (HTTP {answer.status_code})", status=answer.status_code)
        total = place_in_file(answer.headers.get("content-length", ""))
        if total is not None and self.n_bytes not in (None, total):
            raise Failed(f"it has {total} bytes there, not the {self.n_bytes} that are published")
        if total is None and not self._is_verified and answer.headers.get("transfer-encoding", "").lower() != "chunked":
            raise Failed(UNBOUNDED)
        self._begin(_Started(self.address, validator(answer), total))
        return total, 0

    @property
    def _is_verified(self) -> bool:
        """Whether a published length or checksum tells a whole file from one that was cut short."""
        return self.checked or self.n_bytes is not None

    def _begin(self, started: _Started) -> None:
        """Nothing of a file before stays; the note is there before the first byte."""
        self.forget()
        self.note.write_text(json.dumps(asdict(started)), encoding="utf-8")

    def _receive(self, answer: "Response", timer: "Timer", progress: Progress, *, offset: int) -> None:
        from milkprep.media.answers import Failed, Transient

        window, arrived = time.monotonic(), 0
        with self.file.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            for block in _blocks(answer):
                file.write(block)
                offset += len(block)
                progress.advance(offset // MIB - (offset - len(block)) // MIB)
                self.reached = max(self.reached, offset)
                arrived += len(block)
                if self.n_bytes is not None and offset > self.n_bytes:
                    raise Failed(f"it has more than the {self.n_bytes} bytes that are published")
                if timer.left() <= 0:
                    raise Transient("its deadline has passed")
                if (seconds := time.monotonic() - window) > PATIENCE_S:
                    if arrived < MIN_RATE * seconds:
                        raise Transient(f"the server brings less than {MIN_RATE} bytes a second")
                    window, arrived = time.monotonic(), 0

    def _refuse_cut(self, total: int | None) -> None:
        from milkprep.media.answers import Failed, Transient

        size = self.file.stat().st_size
        if total is not None and size < total:
            raise Transient(f"only {size} of {total} bytes arrived")
        if (total is not None and size > total) or self.n_bytes not in (None, size):
            self.forget()
            raise Failed(f"it has {size} bytes, not the {total if total is not None else self.n_bytes} that are stated")

    def _compare_with_end(self, answer: "Response", started: _Started | None, offset: int) -> None:
        """A server asked for what lies behind the end says so; all is there if that is where the part ends."""
        from milkprep.media.answers import Transient, content_range

        _, total = content_range(answer.headers.get("content-range", ""))
        if started is None or total != offset or started.total not in (None, total):
            self.forget()
            raise Transient("the server has another file than what was begun", status=416)
        self._refuse_cut(total)

    def verify(self, sha256: str | None) -> None:
        """Compare with a published checksum.

        Raises:
            SourceError: if it is another; nothing of the file is kept.
        """
        if sha256 is not None and (found := fingerprint.of_file(self.file)) != sha256.lower():
            self.forget()
            raise SourceError(
                f"{self.address} holds another file than published: its sha256 is {found[:12]}..., not {sha256[:12].lower()}.... "
                "It was thrown away. Run this again, or name a file of your own."
            )

    def finish(self) -> None:
        """Give the file its name, once it is on the disk."""
        durable.rename(self.file, self.target)
        self.note.unlink(missing_ok=True)

    def forget(self) -> None:
        """Throw away what has arrived."""
        for path in (self.note, self.file):
            path.unlink(missing_ok=True)


def _blocks(answer: "Response") -> Iterator[bytes]:
    """The body as it was sent."""
    yield from answer.stream  # type: ignore[misc]  # the stream of a synchronous transport


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """A folder that is made, and taken away again with those above it where nothing came to lie in it."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):  # something lies in it
                path.rmdir()
        raise


@contextmanager
def _in_words(address: str, target: Path) -> Iterator[None]:
    """Failures as errors that say what to do next."""
    from milkprep.media.addresses import Refused
    from milkprep.media.answers import Failed, Transient

    shown = address if len(address) < 200 else f"{address[:200]}..."
    try:
        yield
    except Transient as failure:
        kept = "What has arrived is kept" if target.with_name(f"{target.name}.part").exists() else "Nothing has arrived"
        raise SourceError(f"{shown} could not be fetched: {failure.reason}. {kept}; run this again, or name a file of your own.") from failure
    except Failed as failure:
        raise SourceError(f"{shown} could not be fetched: {failure.reason}. Look at the address, or name a file of your own.") from failure
    except Refused as refused:
        raise SourceError(f"{shown} is not followed: {refused}. Name another address, or a file of your own.") from refused
    except OSError as error:
        with suppress(OSError):
            logger.info("%s bytes are kept", target.with_name(f"{target.name}.part").stat().st_size)
        raise SourceError(
            f"{target} could not be written: {error.strerror or error}. Make room or choose another folder, then run this again."
        ) from error
