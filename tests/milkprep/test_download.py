"""Fetching a large file: resumed, verified, never there by halves."""

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest
from local_server import Page, serve, within

from milkprep import download
from milkprep.download import fetch
from milkprep.media import answers, transport
from schemas.errors import SourceError
from schemas.reporting import Silent

BODY = bytes(range(256)) * 1024
SHA256 = hashlib.sha256(BODY).hexdigest()
TAG = '"one"'


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(answers, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(transport, "SLICE_S", 0.05)


def get(server, target, path="/file.gz", **options):
    return fetch(server.address(path), target, allow_private=True, reporter=Silent(), **options)


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_under_its_name_and_nothing_lies_beside_it(tmp_path):
    with serve({"/file.gz": Page(BODY)}) as server:
        target = get(server, tmp_path / "new" / "file.gz", sha256=SHA256.upper(), n_bytes=len(BODY))
    assert target.read_bytes() == BODY
    assert only(target.parent) == ["file.gz"]


def test_a_file_that_is_there_is_not_fetched_again_unless_it_is_another(tmp_path):
    target = tmp_path / "file.gz"
    target.write_bytes(BODY)
    with serve({"/file.gz": Page(b"new")}) as server:
        get(server, target)
        get(server, target, sha256=SHA256, n_bytes=len(BODY))
        assert server.asked == []
        get(server, target, n_bytes=3)
    assert target.read_bytes() == b"new"


def test_a_connection_that_breaks_is_taken_up_where_it_broke(tmp_path):
    pages = [Page(BODY, etag=TAG, cut_after=100_000), Page(BODY, etag=TAG)]
    with serve({"/file.gz": pages}) as server:
        assert get(server, tmp_path / "file.gz", sha256=SHA256).read_bytes() == BODY
        assert server.ranges == [None, "bytes=100000-"]


def test_a_broken_download_is_kept_without_its_name_and_the_next_call_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TRIES", 1)
    target = tmp_path / "file.gz"
    with serve({"/file.gz": [Page(BODY, etag=TAG, cut_after=50_000), Page(BODY, etag=TAG)]}) as server:
        with pytest.raises(SourceError, match=r"connection broke off.*What has arrived is kept"):
            get(server, target)
        assert only(tmp_path) == ["file.gz.part", "file.gz.part.json"]
        assert get(server, target).read_bytes() == BODY
        assert server.ranges == [None, "bytes=50000-"]
    assert only(tmp_path) == ["file.gz"]


def test_a_file_that_changed_meanwhile_is_begun_anew_and_not_glued_together(tmp_path):
    other = BODY[::-1]
    with serve({"/file.gz": [Page(BODY, etag=TAG, cut_after=100_000), Page(other, etag='"two"')]}) as server:
        assert get(server, tmp_path / "file.gz").read_bytes() == other


def test_a_server_that_gives_no_validator_is_asked_for_everything_again(tmp_path):
    with serve({"/file.gz": [Page(BODY, cut_after=100_000), Page(BODY)]}) as server:
        assert get(server, tmp_path / "file.gz").read_bytes() == BODY
        assert server.ranges == [None, None]


def test_a_last_modified_date_tells_a_file_from_another_too(tmp_path):
    dated = {"Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"}
    rest = Page(BODY[9:], status=206, headers={"Content-Range": f"bytes 9-{len(BODY) - 1}/{len(BODY)}"})
    with serve({"/file.gz": [Page(BODY, headers=dated, cut_after=9), rest]}) as server:
        assert get(server, tmp_path / "file.gz").read_bytes() == BODY


def test_a_part_that_is_whole_already_gets_its_name(tmp_path):
    with serve({"/file.gz": Page(BODY, etag=TAG)}) as server:
        (tmp_path / "file.gz.part").write_bytes(BODY)
        note = f'{{"address": "{server.address("/file.gz")}", "validator": "\\"one\\"", "total": {len(BODY)}}}'
        (tmp_path / "file.gz.part.json").write_text(note)
        assert get(server, tmp_path / "file.gz", sha256=SHA256).read_bytes() == BODY
        assert server.ranges == [f"bytes={len(BODY)}-"]
    assert only(tmp_path) == ["file.gz"]


def test_a_part_of_another_address_is_not_gone_on_with(tmp_path):
    with serve({"/file.gz": Page(BODY, etag=TAG)}) as server:
        (tmp_path / "file.gz.part").write_bytes(b"xxx")
        (tmp_path / "file.gz.part.json").write_text('{"address": "http://elsewhere.example/", "validator": "\\"one\\"", "total": 9}')
        assert get(server, tmp_path / "file.gz").read_bytes() == BODY


@pytest.mark.parametrize("status", [429, 503, 500, 502])
def test_a_busy_server_is_asked_again(tmp_path, status):
    with serve({"/file.gz": [Page(status=status, headers={"Retry-After": "0"}), Page(BODY)]}) as server:
        assert get(server, tmp_path / "file.gz").read_bytes() == BODY


def test_a_server_that_stays_busy_is_given_up(tmp_path):
    with serve({"/file.gz": Page(status=503)}) as server:
        with pytest.raises(SourceError, match=r"busy or broken \(HTTP 503\)\. Nothing has arrived; run this again"):
            get(server, tmp_path / "file.gz")
        assert len(server.asked) == download.TRIES


def test_a_server_that_wants_hours_is_not_waited_for(tmp_path):
    with serve({"/file.gz": Page(status=429, headers={"Retry-After": "86400"})}) as server:
        with pytest.raises(SourceError, match="HTTP 429"):
            get(server, tmp_path / "file.gz")
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_final(tmp_path, status):
    with serve({"/file.gz": Page(b"<html>", status=status)}) as server:
        with pytest.raises(SourceError, match=rf"{server.address('/file.gz')} could not be fetched: .*HTTP {status}\).*Look at the address"):
            get(server, tmp_path / "file.gz")
        assert len(server.asked) == 1
    assert only(tmp_path) == []


def test_another_checksum_than_published_leaves_nothing(tmp_path):
    with serve({"/file.gz": Page(BODY)}) as server, pytest.raises(SourceError, match="another file than published"):
        get(server, tmp_path / "file.gz", sha256="0" * 64)
    assert only(tmp_path) == []


@pytest.mark.parametrize("page", [Page(BODY), Page(BODY, length=-1)])
def test_another_length_than_published_is_refused(tmp_path, page):
    with serve({"/file.gz": page}) as server, pytest.raises(SourceError, match="published"):
        get(server, tmp_path / "file.gz", n_bytes=1000)
    assert "file.gz" not in only(tmp_path)


def test_one_byte_a_second_ends_at_the_deadline_in_body_and_headers(tmp_path):
    for slow in (Page(BODY, trickle_s=0.05), Page(BODY, trickle_head_s=0.05)):
        with serve({"/file.gz": slow}) as server:
            started = time.monotonic()
            with pytest.raises(SourceError, match="could not be fetched"):
                get(server, tmp_path / "file.gz", deadline_s=0.3)
            assert within(5, started)


def test_a_server_below_the_least_rate_is_given_up_without_a_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE_S", 0.1)
    monkeypatch.setattr(download, "TRIES", 1)
    with serve({"/file.gz": Page(BODY, trickle_s=0.02)}) as server, pytest.raises(SourceError, match="less than 1024 bytes a second"):
        get(server, tmp_path / "file.gz")


def test_an_address_in_this_machine_is_refused_unless_allowed(tmp_path):
    with serve({"/file.gz": Page(BODY)}) as server:
        with pytest.raises(SourceError, match=r"private network\. Name another address, or a file of your own"):
            fetch(server.address("/file.gz"), tmp_path / "file.gz", reporter=Silent())
        assert server.asked == []


def test_a_full_disk_is_said_and_leaves_no_final_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with serve({"/file.gz": Page(BODY)}) as server, pytest.raises(SourceError, match=r"No space left on device\. Make room"):
        get(server, tmp_path / "file.gz")
    assert "file.gz" not in only(tmp_path)


@pytest.mark.parametrize(
    ("header", "means"),
    [
        ("bytes 5-9/20", (5, 20)), ("bytes 5-9/*", (5, None)), ("bytes */20", (None, 20)), ("bytes \u00b2-5/9", (None, 9)),
        ("bytes 5-9/" + "9" * 5000, (5, None)), ("items 5-9/20", (None, None)), ("", (None, None)),
    ],
)  # fmt: skip
def test_places_in_a_file_are_read_strictly(header, means):
    assert answers.content_range(header) == means


def test_a_part_of_another_version_is_not_glued_on(tmp_path):
    other, last = BODY[::-1], len(BODY) - 1
    headers = {"Content-Range": f"bytes 100000-{last}/{len(BODY)}", "ETag": '"two"'}
    part = Page(other[100_000:], status=206, headers=headers)
    with serve({"/file.gz": [Page(BODY, etag=TAG, cut_after=100_000), part, Page(other, etag='"two"')]}) as server:
        assert get(server, tmp_path / "file.gz").read_bytes() == other


def test_a_part_that_says_no_length_does_not_end_the_file(tmp_path):
    part = Page(BODY[50_000:70_000], status=206, headers={"Content-Range": "bytes 50000-69999/*"})
    rest = Page(BODY[70_000:], status=206, headers={"Content-Range": f"bytes 70000-{len(BODY) - 1}/{len(BODY)}"})
    with serve({"/file.gz": [Page(BODY, etag=TAG, cut_after=50_000), part, rest]}) as server:
        assert get(server, tmp_path / "file.gz").read_bytes() == BODY
        assert server.ranges == [None, "bytes=50000-", "bytes=70000-"]


CHUNKED = {"Transfer-Encoding": "chunked"}


def chunked(body: bytes, *, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:70_000], body[70_000:])) + end


def test_a_connection_that_just_closes_does_not_make_a_file_whole(tmp_path):
    with serve({"/file.gz": Page(BODY, length=-1, cut_after=100_000)}) as server:
        with pytest.raises(SourceError, match="does not say how long it is, so a file cut short would pass for a whole one"):
            get(server, tmp_path / "new" / "file.gz")
        assert len(server.asked) == 1
        assert only(tmp_path) == []
        with pytest.raises(SourceError, match="another file than published"):
            get(server, tmp_path / "file.gz", sha256=SHA256)
        with pytest.raises(SourceError, match="100000 bytes, not the"):
            get(server, tmp_path / "file.gz", n_bytes=len(BODY))
    assert "file.gz" not in only(tmp_path)


def test_a_file_without_a_length_is_taken_where_a_published_checksum_or_length_tells_that_it_is_whole(tmp_path):
    with serve({"/file.gz": Page(BODY, length=-1)}) as server:
        assert get(server, tmp_path / "a", sha256=SHA256).read_bytes() == BODY
        assert get(server, tmp_path / "b", n_bytes=len(BODY)).read_bytes() == BODY


def test_a_chunked_transfer_is_whole_when_its_end_has_come_and_not_before(tmp_path):
    cut = Page(chunked(BODY, end=b""), headers=CHUNKED, length=-1)
    with serve({"/file.gz": [cut, Page(chunked(BODY), headers=CHUNKED, length=-1)]}) as server:
        assert get(server, tmp_path / "file.gz").read_bytes() == BODY
        assert len(server.asked) == 2


def test_a_part_of_a_file_whose_length_nobody_states_does_not_end_it(tmp_path):
    begun = Page(chunked(BODY[:80_000], end=b""), headers=CHUNKED | {"ETag": TAG}, length=-1)
    part = Page(BODY[80_000:90_000], status=206, headers={"Content-Range": "bytes 80000-89999/*", "ETag": TAG})
    with serve({"/file.gz": [begun, part]}) as server, pytest.raises(SourceError, match="does not say how long it is"):
        get(server, tmp_path / "file.gz")
    assert only(tmp_path) == []


def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(tmp_path):
    with serve({"/file.gz": Page(BODY, cut_after=100_000)}) as server:
        with pytest.raises(SourceError, match="connection broke off"):
            get(server, tmp_path / "file.gz")
        assert len(server.asked) == 1 + download.TRIES


def test_folders_made_for_a_file_that_never_came_are_taken_away_again_and_others_are_not(tmp_path):
    (tmp_path / "there").mkdir()
    with serve({}) as server:
        for target in (tmp_path / "s.raw" / "2018" / "file.gz", tmp_path / "there" / "new" / "file.gz"):
            with pytest.raises(SourceError, match="404"):
                get(server, target)
    assert only(tmp_path) == ["there"]
