"""Pictures and sound by address: each address ends as a row with its status and reason, whatever its server does."""

import gzip
import hashlib
import struct
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fetching import catalogue, outcome, picture, run, states
from local_server import Page, serve, within
from media_samples import gradient, tone, write_picture, write_wav
from small_catalogue import query, violations, write_catalogue

from milkprep.extract import extract
from milkprep.media import answers, ledger, queue, transport
from schemas.contracts import Modality
from schemas.errors import BadValue, DataError, StoreError
from schemas.reporting import Silent
from schemas.store import Store

NOTHING = "address not fetched"


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(answers, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(transport, "SLICE_S", 0.05)
    monkeypatch.setattr(queue, "LOOK_S", 0.02)


def huge_png(side: int = 50_000) -> bytes:
    """A valid header of a picture of side x side pixels, and few bytes behind it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_a_picture_is_kept_under_its_digest_and_its_asset_is_ok(tmp_path):
    body = picture(suffix=".jpg")
    with serve({"/a.jpg": Page(body)}) as server:
        path = catalogue(tmp_path, server.address("/a.jpg"))
        report = run(path)
        sha256 = hashlib.sha256(body).hexdigest()
        file = tmp_path / "s.duckdb.media" / sha256[:2] / f"{sha256}.jpg"
        assert file.read_bytes() == body
        row = query(path, "SELECT address, modality, status, reason, content_sha256, bytes, file FROM downloads")
        assert row == [(server.address("/a.jpg"), "visual", "ok", None, sha256, len(body), str(file))]
        assert query(path, "SELECT location, status, reason, content_sha256 FROM assets WHERE modality = 'visual'") == [
            (server.address("/a.jpg"), "ok", None, sha256)
        ]
    assert (report.n_visited, report.n_ok, report.n_bytes, report.n_left) == (1, 1, len(body), 0)
    assert report.summary.rows() == [("ok", "", 1, 1)]
    assert violations(path) == {}
    assert [entry.name for entry in (tmp_path / "s.duckdb.media").iterdir()] == [sha256[:2]]


def test_fetched_pictures_are_embedded_like_local_ones(tmp_path):
    for item in range(2):
        write_picture(tmp_path / f"{item}.png", np.roll(gradient(12, 16), item, axis=1))
    local = write_catalogue(tmp_path / "local.duckdb", [("a", None)] * 3, files={Modality.VISUAL: {i: [tmp_path / f"{i}.png"] for i in range(2)}})
    with serve({f"/{item}": Page((tmp_path / f"{item}.png").read_bytes()) for item in range(2)}) as server:
        path = catalogue(tmp_path, server.address("/0"), server.address("/1"), server.address("/none"))
        run(path)
    for store in (path, local):
        extract(store, modality=Modality.VISUAL, encoder="colour-layout", reporter=Silent())
    vectors = "SELECT item_idx, vector FROM features_visual ORDER BY 1"
    assert [(i, list(v)) for i, v in query(path, vectors)] == [(i, list(v)) for i, v in query(local, vectors)]
    assert states(path) == [("ok", None), ("ok", None), ("absent", "the server has nothing there (HTTP 404)")]
    assert violations(path) == {}
    assert extract(path, modality=Modality.VISUAL, encoder="colour-layout", reporter=Silent()).n_embedded_now == 0


def test_extraction_says_that_addresses_have_to_be_fetched_first(tmp_path):
    path = catalogue(tmp_path, "http://pictures.example/a")
    with pytest.raises(DataError, match=r"Fetch it with `python cli\.py fetch-media`"):
        extract(path, modality=Modality.VISUAL, encoder="colour-layout", reporter=Silent())


def test_sound_is_fetched_as_sound(tmp_path):
    sound = write_wav(tmp_path / "a.wav", tone(0.3)).read_bytes()
    with serve({"/a": Page(sound), "/b": Page(b"no sound"), "/c": Page(sound[:100])}) as server:
        path = catalogue(tmp_path, *(server.address(f"/{name}") for name in "abc"), modality=Modality.AUDIO)
        assert run(path, Modality.AUDIO).n_ok == 1
        extract(path, modality=Modality.AUDIO, encoder="log-mel", reporter=Silent())
    assert [status for status, _ in states(path)] == ["ok", "decode_error", "decode_error"]
    assert query(path, "SELECT item_idx FROM features_audio") == [(0,)]


def test_an_address_is_asked_once_however_many_items_name_it_and_equal_pictures_are_one_file(tmp_path):
    body = picture()
    with serve({"/a": Page(body), "/b": Page(body)}) as server:
        path = catalogue(tmp_path, *(server.address(f"/{name}") for name in "aabba"))
        run(path)
        assert sorted(server.asked) == ["/a", "/b"]
    assert query(path, "SELECT count(*), count(DISTINCT file), count(DISTINCT content_sha256) FROM downloads") == [(2, 1, 1)]
    assert states(path) == [("ok", None)] * 5


def test_a_second_run_has_nothing_to_do_and_asks_nobody(tmp_path):
    with serve({"/a": Page(picture()), "/b": Page(status=403)}) as server:
        path = catalogue(tmp_path, server.address("/a"), server.address("/b"))
        run(path)
        before = (states(path), query(path, "SELECT * FROM downloads ORDER BY 1"))
        assert run(path).n_visited == 0
        assert len(server.asked) == 2
    assert (states(path), query(path, "SELECT * FROM downloads ORDER BY 1")) == before


def test_a_file_that_was_lost_is_fetched_again(tmp_path):
    with serve({"/a": Page(picture())}) as server:
        path = catalogue(tmp_path, server.address("/a"))
        run(path)
        (file,) = query(path, "SELECT file FROM downloads")[0]
        Path(file).write_bytes(b"cut")
        assert run(path).n_ok == 1
    assert Path(file).read_bytes() == picture()


@pytest.mark.parametrize(
    ("page", "status", "reason"),
    [
        (Page(status=404), "absent", "the server has nothing there (HTTP 404)"),
        (Page(status=410), "absent", "the server has nothing there (HTTP 410)"),
        (Page(status=403), "fetch_error", "the server refuses it (HTTP 403)"),
        (Page(status=204), "fetch_error", "the server gives no content (HTTP 204)"),
        (Page(status=503), "fetch_error", "the server is busy or broken (HTTP 503)"),
        (Page(status=302), "fetch_error", "the server redirects to nowhere (HTTP 302)"),
        (Page(b"<html>sorry</html>"), "decode_error", "not a picture of a known format"),
        (Page(b""), "decode_error", "the file is empty"),
        (Page(picture()[:-30]), "decode_error", "the picture is broken or cut short"),
        (Page(picture(), cut_after=20), "fetch_error", "the connection broke off, or the server speaks no HTTP"),
        (Page(picture(), length=9999), "fetch_error", "the connection broke off, or the server speaks no HTTP"),
        (Page(huge_png()), "decode_error", "the picture has more than 64 million pixels"),
        (Page(picture(), headers={"Content-Encoding": "br"}), "fetch_error", "the server sends it in an encoding that was not asked for"),
        (Page(b"xx", headers={"Content-Encoding": "gzip"}), "fetch_error", "the server sends it compressed, and broken"),
    ],
)
def test_each_failure_is_a_row_with_its_reason(tmp_path, page, status, reason):
    assert outcome(tmp_path, page) == (status, reason)
    assert not list(tmp_path.glob("s.duckdb.media/*/*"))


@pytest.mark.parametrize("length", [None, -1])
def test_an_answer_larger_than_allowed_is_refused_whether_or_not_it_says_so(tmp_path, length):
    found = outcome(tmp_path, Page(bytes(100_000), length=length), max_bytes=50_000)
    assert found == ("fetch_error", "it is larger than 50000 bytes")


def test_a_bomb_is_unpacked_no_further_than_allowed(tmp_path):
    bomb = gzip.compress(bytes(30_000_000))
    assert len(bomb) < 50_000
    found = outcome(tmp_path, Page(bomb, headers={"Content-Encoding": "gzip"}), max_bytes=50_000)
    assert found == ("fetch_error", "it is larger than 50000 bytes")


def test_a_picture_that_comes_compressed_unasked_is_unpacked(tmp_path):
    assert outcome(tmp_path, Page(gzip.compress(picture()), headers={"Content-Encoding": "gzip"})) == ("ok", None)


@pytest.mark.parametrize("slow", [{"trickle_s": 0.05}, {"trickle_head_s": 0.05}, {"delay_s": 30}])
def test_a_server_of_a_few_bytes_a_second_ends_at_the_deadline(tmp_path, slow):
    started = time.monotonic()
    assert outcome(tmp_path, Page(picture(), **slow), deadline_s=0.4) == ("fetch_error", "it was not there within 0.4 seconds")
    assert within(10, started)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_recovers_is_asked_again(tmp_path, status):
    assert outcome(tmp_path, [Page(status=status, headers={"Retry-After": "0"}), Page(picture())]) == ("ok", None)


def test_a_server_that_stays_busy_is_asked_four_times(tmp_path):
    with serve({"/a": Page(status=503)}) as server:
        run(catalogue(tmp_path, server.address("/a")))
        assert len(server.asked) == 4


def test_a_server_that_wants_more_time_than_there_is_is_not_waited_for(tmp_path):
    started = time.monotonic()
    assert outcome(tmp_path, Page(status=429, headers={"Retry-After": "3600"})) == ("fetch_error", "the server is busy or broken (HTTP 429)")
    assert within(20, started)


def test_a_connection_that_broke_is_tried_again(tmp_path):
    assert outcome(tmp_path, [Page(picture(), cut_after=20), Page(picture())]) == ("ok", None)


def test_addresses_that_failed_are_tried_again_when_asked_for(tmp_path):
    with serve({"/a": [Page(status=403), Page(picture())], "/b": [Page(b"?"), Page(picture(1))], "/c": Page(status=404)}) as server:
        path = catalogue(tmp_path, *(server.address(f"/{name}") for name in "abc"))
        run(path)
        assert run(path, retry_failed=True).n_visited == 2
    assert [status for status, _ in states(path)] == ["ok", "ok", "absent"]


def test_no_more_threads_ask_a_host_than_allowed(tmp_path):
    with serve({f"/{n}": Page(picture(n), delay_s=0.02) for n in range(30)}) as server:
        path = catalogue(tmp_path, *(server.address(f"/{n}") for n in range(30)))
        assert run(path, concurrency=8, per_host=3).n_ok == 30
        assert 1 < server.most_at_once <= 3


def test_a_host_that_cannot_be_reached_is_given_up_and_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "GIVE_UP_AFTER", 2)
    with serve({"/a": Page(picture())}) as server:
        with serve({}) as gone:
            port = gone.server_address[1]
        path = catalogue(tmp_path, *(f"http://127.0.0.2:{port}/{n}" for n in range(40)), server.address("/a"))
        run(path, per_host=1)
    assert states(path).pop() == ("ok", None)
    reasons = Counter(reason for _, reason in states(path)[:-1])
    assert set(reasons) == {"the server cannot be reached", answers.GIVEN_UP}
    assert reasons["the server cannot be reached"] == 2


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page(status=503), "the server is busy or broken (HTTP 503)"),
        (Page(delay_s=30), "it was not there within 0.2 seconds"),
    ],
    ids=["busy", "silent"],
)
def test_a_host_that_is_busy_or_silent_for_good_is_given_up_too(tmp_path, monkeypatch, page, reason):
    monkeypatch.setattr(queue, "GIVE_UP_AFTER", 3)
    with serve({f"/{n}": page for n in range(12)}) as server:
        path = catalogue(tmp_path, *(server.address(f"/{n}") for n in range(12)))
        run(path, concurrency=1, deadline_s=0.2 if page.delay_s else 60)
        assert len(set(server.asked)) == 3
    assert Counter(states(path)) == {("fetch_error", reason): 3, ("fetch_error", answers.GIVEN_UP): 9}


@pytest.mark.parametrize("status", [200, 404, 403])
def test_a_host_that_answers_now_and_then_is_not_given_up(tmp_path, monkeypatch, status):
    monkeypatch.setattr(queue, "GIVE_UP_AFTER", 2)
    add = queue.Queue.add
    monkeypatch.setattr(queue.Queue, "add", lambda self, page: add(self, sorted(page, key=lambda address: int(address.rpartition("/")[2]))))
    with serve({f"/{n}": Page(picture(), status=503 if n % 2 else status) for n in range(12)}) as server:
        path = catalogue(tmp_path, *(server.address(f"/{n}") for n in range(12)))
        run(path, concurrency=1)
        assert len(set(server.asked)) == 12
    assert answers.GIVEN_UP not in {reason for _, reason in states(path)}


def test_every_address_that_waits_is_on_one_page_whatever_is_written_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "PAGE", 10)
    addresses = [f"http://{host}.example/{n % 90}" for n in range(100) for host in "ab"]
    path = catalogue(tmp_path, *addresses)
    seen = []
    for page in ledger.Ledger(path, Modality.VISUAL).pages():
        seen.append(page)
        with Store(path, mode="update") as store:  # as a run that has visited them
            store.run("UPDATE assets SET status = 'absent', reason = 'x' WHERE list_contains($seen, location)", seen=page)
    assert sorted(address for page in seen for address in page) == sorted(set(addresses))
    assert len(seen) == 18
    assert max(map(len, seen)) < 40
    assert all(len({address[:8] for address in page}) == 2 for page in seen if len(page) > 9)  # hosts are mixed


def test_options_out_of_range_and_texts_are_refused(tmp_path):
    path = catalogue(tmp_path, "http://pictures.example/a")
    for options, words in (({"concurrency": 0}, "--concurrency 0"), ({"per_host": 0}, "--per-host 0"), ({"deadline_s": 0}, "--deadline 0")):
        with pytest.raises(BadValue, match=words):
            run(path, **options)
    with pytest.raises(BadValue, match="Texts have no addresses"):
        run(path, Modality.TEXT)
    with pytest.raises(StoreError, match="There is no store"):
        run(tmp_path / "other.duckdb")
    assert states(path) == [("not_fetched", NOTHING)]
    assert not (tmp_path / "s.duckdb.media").exists()
