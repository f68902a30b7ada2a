"""The parts of fetch-media one by one: which numbers are public, how long is waited, what a dying decoder leaves."""

import os
import signal
import threading
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from local_server import Page, serve
from media_samples import write_picture

from milkprep.decode.process import Process
from milkprep.media import answers, inspectors
from milkprep.media.addresses import is_public
from milkprep.media.answers import FIRST_WAIT_S, LONGEST_RETRY_AFTER_S, Transient, ask, retry_after, retrying
from milkprep.media.cache import Cache, kind
from milkprep.media.inspectors import Arrived, Inspectors
from milkprep.media.queue import Queue
from milkprep.media.transport import GuardedTransport, Stopped, Timer
from milkprep.media.visit import Visitor
from schemas.contracts import AssetStatus, Modality

INSIDE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::",
    "64:ff9b::127.0.0.1", "64:ff9b::a00:1",
]  # fmt: skip
OUTSIDE = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "193.0.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808"]


@pytest.mark.parametrize("number", INSIDE)
def test_numbers_of_this_machine_and_of_private_networks_are_not_public(number):
    assert not is_public(number)


@pytest.mark.parametrize("number", OUTSIDE)
def test_numbers_of_the_internet_are_public(number):
    assert is_public(number)


NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("0", 0.0), (" 7 ", 7.0), ("Wed, 01 May 2024 12:01:30 GMT", 90.0), ("Wed, 01 May 2024 11:00:00 GMT", 0.0),
        ("soon", None), ("-3", None), ("Wed, 99 May 2024", None), ("٣", None), ("1" * 400, 111111111111.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    assert retry_after(header, now=NOW) == seconds


def waits(failures: list[float | None], *, left: float = 1e9, tries: int = 9) -> list[float]:
    """How long is waited between tries that fail like this and then succeed."""
    slept: list[float] = []
    coming = iter(failures)

    def attempt() -> None:
        for wait_s in coming:
            raise Transient("busy", wait_s=wait_s)

    try:
        retrying(left=lambda: left, sleep=slept.append, fruitless=lambda n: n >= tries)(attempt)
    except Transient:
        slept.append(-1)
    return slept


def test_waits_double_and_heed_the_server():
    assert waits([None, None, None]) == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    assert waits([12.0, None]) == [12.0, 2 * FIRST_WAIT_S]
    assert waits([0.0]) == [FIRST_WAIT_S]


def test_nothing_is_waited_for_beyond_the_deadline_the_cap_or_the_tries():
    assert waits([LONGEST_RETRY_AFTER_S]) == [LONGEST_RETRY_AFTER_S]
    assert waits([LONGEST_RETRY_AFTER_S + 1]) == [-1]
    assert waits([5.0], left=4.0) == [-1]
    assert waits([None, None], tries=2) == [FIRST_WAIT_S, -1]


@pytest.mark.parametrize(
    ("start", "name"), [(b"\xff\xd8\xff\xe0", "jpg"), (b"RIFF1234WEBPVP8 ", "webp"), (b"RIFF1234WAVEfmt ", "wav"), (b"<html>", "bin"), (b"", "bin")]
)
def test_a_file_is_named_for_what_it_starts_with(start, name):
    assert kind(start) == name


def test_what_a_dead_run_left_is_removed_and_what_a_live_one_holds_is_not(tmp_path):
    for process in ("999999999", "no-number", str(os.getppid())):
        (tmp_path / f"incoming-{process}").mkdir()
    Cache(tmp_path).close()
    assert [entry.name for entry in tmp_path.iterdir()] == [f"incoming-{os.getppid()}"]


class Decoding:
    """A decoding process under a thread's care, and what it said of each content."""

    def __init__(self, folder: Path, modality: Modality = Modality.VISUAL) -> None:
        self.cache, self.timer = Cache(folder / "cache"), Timer()
        self.found: dict[str, tuple[AssetStatus, str] | None] = {}
        self.inspectors = Inspectors(modality, cache=self.cache, timer=self.timer, done=self._done)

    def _done(self, content: Arrived, refusal: tuple[AssetStatus, str] | None) -> None:
        self.found[content.address] = refusal

    def decode(self, **contents: bytes | Path) -> dict[str, tuple[AssetStatus, str] | None]:
        for name, content in contents.items():
            n_bytes = len(content) if isinstance(content, bytes) else content.stat().st_size
            self.inspectors.put(Arrived(name, content, name, n_bytes, self.cache.place(name, b"")))
        self.inspectors.close()
        self.inspectors.work()
        return self.found


def test_contents_in_memory_and_in_files_are_decoded_and_take_their_place(tmp_path):
    body = write_picture(tmp_path / "a.png").read_bytes()
    large = tmp_path / "large"
    large.write_bytes(body)
    decoding = Decoding(tmp_path)
    assert decoding.decode(aa=body, bb=large, cc=b"no picture") == {
        "aa": None, "bb": None, "cc": (AssetStatus.DECODE_ERROR, "not a picture of a known format"),
    }  # fmt: skip
    assert {file.name for file in (tmp_path / "cache").glob("??/*")} == {"aa.bin", "bb.bin"}
    assert not large.exists()


def test_a_content_that_is_kept_already_is_decoded_again_for_another_modality(tmp_path):
    body = write_picture(tmp_path / "a.png").read_bytes()
    assert Decoding(tmp_path).decode(aa=body) == {"aa": None}
    place = Decoding(tmp_path).cache.place("aa", b"")
    kept = place.stat()
    sound = Decoding(tmp_path, Modality.AUDIO).decode(aa=body)["aa"]
    assert sound is not None
    assert sound[0] is AssetStatus.DECODE_ERROR
    assert Decoding(tmp_path).decode(aa=body) == {"aa": None}
    assert (place.read_bytes(), place.stat().st_ino, place.stat().st_mtime_ns) == (body, kept.st_ino, kept.st_mtime_ns)  # it stays for the other


def test_a_file_of_another_length_in_the_place_of_a_content_gives_way(tmp_path):
    body = write_picture(tmp_path / "a.png").read_bytes()
    decoding = Decoding(tmp_path)
    place = decoding.cache.place("aa", b"")
    place.parent.mkdir()
    place.write_bytes(body[:50])
    assert decoding.decode(aa=body) == {"aa": None}
    assert place.read_bytes() == body


LARGE = bytes(range(256)) * 4096  # beyond what stays in memory


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page(LARGE, length=-1), "it is larger than 900000 bytes"),
        (Page(LARGE[:800_000], cut_after=600_000), "the connection broke off, or the server speaks no HTTP"),
        (Page(zlib.compress(os.urandom(700_000))[:600_000], headers={"Content-Encoding": "deflate"}), "the server sends it compressed, and broken"),
    ],
    ids=["too large", "cut", "broken"],
)
def test_what_arrived_of_a_content_that_is_not_kept_does_not_stay_on_the_disk(tmp_path, monkeypatch, page, reason):
    monkeypatch.setattr(answers, "FIRST_WAIT_S", 0.001)
    timer, cache, moved = Timer(), Cache(tmp_path / "cache"), []
    queue = Queue(per_host=1, timer=timer)
    visitor = Visitor(timer=timer, queue=queue, cache=cache, deadline_s=60, max_bytes=900_000)
    really_moved = Visitor._moved
    monkeypatch.setattr(Visitor, "_moved", lambda self, *what: moved.append(really_moved(self, *what)) or moved[-1])
    with serve({"/a": page}) as server, GuardedTransport(timer=timer, allow_private=True) as transport:
        queue.add([server.address("/a")])
        visited = visitor.visit(next(queue.turns()), transport)
    assert (visited.status, visited.reason) == (AssetStatus.FETCH_ERROR, reason)
    assert moved  # it was on the disk
    assert list(cache.incoming.iterdir()) == []


def test_a_decoder_that_dies_takes_one_content_with_it(tmp_path, monkeypatch):
    body = write_picture(tmp_path / "a.png").read_bytes()
    decoding = Decoding(tmp_path)
    question = inspectors._question

    def deadly(content: Arrived) -> bytes:
        return b"not even JSON\n" if content.address == "bad" else question(content)

    monkeypatch.setattr(inspectors, "_question", deadly)
    found = decoding.decode(a1=body, bad=body, a2=body, a3=body)
    assert found == {"a1": None, "bad": (AssetStatus.DECODE_ERROR, "decoding it ends the decoder, or takes too long"), "a2": None, "a3": None}


def test_a_decoder_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(inspectors, "PATIENCE_S", 3.0)
    body = write_picture(tmp_path / "a.png").read_bytes()
    decoding = Decoding(tmp_path)
    start = Process._start

    def stopped(self):
        process = start(self)
        if not decoding.found:
            process.send_signal(signal.SIGSTOP)
        return process

    monkeypatch.setattr(Process, "_start", stopped)
    assert decoding.decode(a1=body)["a1"] == (AssetStatus.DECODE_ERROR, "decoding it ends the decoder, or takes too long")


def test_a_disk_that_refuses_is_an_error_and_no_row(tmp_path):
    decoding = Decoding(tmp_path)
    (decoding.cache.folder / "aa").write_bytes(b"in the way of a folder")
    with pytest.raises(OSError, match="Not a directory"):
        decoding.decode(aa=b"x")
    assert decoding.found == {}


def test_a_host_that_asks_for_rest_is_left_alone_and_others_go_on():
    timer = Timer()
    queue = Queue(per_host=4, timer=timer)
    queue.add(["http://a.example/1", "http://a.example/2", "http://b.example/1"])
    turns = queue.turns()
    first = next(turns)
    queue.rest(first.host, 0.3)
    second = next(turns)
    assert {first.host, second.host} == {"a.example", "b.example"}


def test_a_stopped_run_ends_every_wait():
    timer = Timer()
    queue = Queue(per_host=1, timer=timer)
    threading.Timer(0.05, timer.stopped.set).start()
    with pytest.raises(Stopped):
        next(queue.turns())
    with pytest.raises(Stopped):
        timer.sleep(60)


def test_a_server_that_closes_between_answers_is_asked_anew(tmp_path):
    with serve({"/a": Page(b"x", headers={"Connection": "close"})}) as server, GuardedTransport(timer=Timer(), allow_private=True) as transport:
        for _ in range(3):
            with ask(transport, server.address("/a")) as answer:
                assert b"".join(answer.stream) == b"x"
