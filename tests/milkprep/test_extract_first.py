"""One file an item, the first that is usable: which one it is, whatever broke, was tried again, was killed, or came later."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from av_samples import write_video
from media_samples import gradient, tone, write_picture, write_wav
from small_catalogue import query, tables, violations, write_catalogue

from milkprep.encoder import EncoderOptions
from milkprep.engine import content, decoders, recording, writing
from milkprep.extract import ExtractReport, extract
from milkprep.extractors.colour_layout import ColourLayout
from milkprep.inspection.feature_set_changes import listed
from schemas import fingerprint
from schemas.contracts import Modality, Several
from schemas.errors import BadValue, DataError, StoreLocked
from schemas.reporting import Silent
from schemas.store import Store

#: Of which picture an item's vector is, by position, as the catalogue below is made.
EXPECTED = {0: (0, "a"), 1: (1, "d"), 3: (0, "a"), 4: (1, "d"), 5: (0, "f"), 6: (1, "a"), 8: (1, "g"), 9: (3, "c")}
STATES = "SELECT item_idx, position, status, reason FROM assets WHERE modality = 'visual' AND item_idx = {} ORDER BY position"


@pytest.fixture(autouse=True)
def tried(monkeypatch) -> list[str]:
    """Small pages, decoded here; the names of the files that were, in their order."""
    names: list[str] = []
    decode = ColourLayout.decode
    monkeypatch.setattr(ColourLayout, "decode", lambda self, file: names.append(file.stem) or decode(self, file))
    monkeypatch.setattr(decoders, "of", lambda encoder, n_workers: decoders.ThreadDecoder(encoder))
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.VISUAL, 5)
    monkeypatch.setattr(writing, "PAGES_UNWRITTEN", 1)
    return names


def picture(folder: Path, name: str) -> Path:
    return write_picture(folder / f"{name}.png", np.roll(gradient(), 5 * ord(name[0]), axis=1))


def broken(folder: Path, name: str) -> Path:
    file = picture(folder, name)
    file.write_bytes(file.read_bytes()[:-30])
    return file


def catalogue(folder: Path, name: str = "s.duckdb") -> Path:
    """Ten items, one of them without pictures: all good, the first broken, all broken, the first shared with another item, gone, or not fetched."""
    a, b, c, d, e, f, g = (picture(folder, letter) for letter in "abcdefg")
    v, w, x, y, z = (broken(folder, letter) for letter in "vwxyz")
    gone = folder / "gone.png"
    address = "https://x.org/a.png"
    of_items = {0: [a, b, c], 1: [v, d], 2: [w, x, y], 3: [a, e], 4: [v, d, a], 5: [f], 6: [gone, a], 8: [address, g], 9: [z, x, gone, c, b]}
    return write_catalogue(folder / name, [("a", None)] * 10, files={Modality.VISUAL: of_items})


def run(path: Path, several: Several | None = Several.FIRST, **options) -> ExtractReport:
    given = {"modality": Modality.VISUAL, "encoder": "colour-layout", "reporter": Silent(), "several": several}
    return extract(path, **{**given, **options})


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The catalogue before it is extracted, and `alone.duckdb` beside it after; nothing changes its files."""
    path = catalogue(tmp_path_factory.mktemp("begun"))
    extract(
        Path(shutil.copy(path, path.with_name("alone.duckdb"))),
        modality=Modality.VISUAL,
        encoder="colour-layout",
        several=Several.FIRST,
        reporter=Silent(),
    )
    return path


def chosen(path: Path, number: int = 1) -> dict[int, tuple[int, str]]:
    """By item: position and picture of its vector; fails where an item has two."""
    names = {fingerprint.of_file(file): file.stem for file in sorted(path.parent.glob("*.png"))}
    rows = query(path, f"SELECT item_idx, position, content_sha256 FROM feature_rows WHERE feature_set_id = {number} ORDER BY ALL")
    assert len(rows) == len({row[0] for row in rows})
    return {item: (position, names[sha256]) for item, position, sha256 in rows}


def test_the_first_usable_picture_of_an_item_is_the_only_one_that_is_embedded(tmp_path, tried):
    path = catalogue(tmp_path)
    report = run(path)
    assert chosen(path) == EXPECTED
    assert {name for name in tried if name in "abcdefg"} == {"a", "c", "d", "f", "g"}
    assert all(tried.count(name) == 1 for name in "acdfg")
    assert (report.n_items, report.n_contents, report.n_embedded_now, report.n_without) == (8, 5, 5, 2)
    assert report.n_failed == 9  # of items 1, 2 (three), 4, 6 and 9 (three)
    assert query(path, "SELECT count(*) FROM vectors_1") == [(5,)]
    assert violations(path) == {}


def test_a_vector_is_that_of_the_picture_alone(tmp_path):
    path = catalogue(tmp_path)
    run(path)
    encoder = ColourLayout(normalise=False)
    for item, (_, name) in EXPECTED.items():
        (found,) = query(path, f"SELECT vector FROM features_visual WHERE item_idx = {item}")[0]
        np.testing.assert_array_equal(found, encoder.encode([encoder.decode(tmp_path / f"{name}.png")])[0])


def test_what_was_not_needed_is_no_failure_and_what_failed_says_why(tmp_path):
    path = catalogue(tmp_path)
    report = run(path)
    assert query(path, STATES.format(0)) == [(0, 0, "ok", None), (0, 1, "pending", "file not read yet"), (0, 2, "pending", "file not read yet")]
    assert query(path, STATES.format(1)) == [(1, 0, "decode_error", "the picture is broken or cut short"), (1, 1, "ok", None)]
    assert query(path, STATES.format(6))[0][2:] == ("decode_error", "there is no such file")
    assert report.reasons.rows() == [("no visual file", 1), ("the picture is broken or cut short", 1)]
    assert query(path, "SELECT item_idx, visual FROM modality_availability WHERE NOT visual ORDER BY 1") == [(2, False), (7, False)]


def test_a_finished_run_finds_nothing_to_do(tmp_path, tried):
    path = catalogue(tmp_path)
    run(path)
    before = tables(path)
    tried.clear()
    assert run(path).n_embedded_now == 0
    assert tried == []
    assert tables(path) == before


@pytest.mark.parametrize("n", [2, 3, 6, 7], ids=["first pass", "after the first pass", "third pass", "last pass"])
def test_a_run_that_ended_at_any_page_of_any_pass_is_resumed_to_the_same_store(tmp_path, monkeypatch, n, begun):
    """Four passes over two pages of five items: both have something to do in the first three, one in the last."""
    stopped, left_alone = Path(shutil.copy(begun, tmp_path)), tables(begun.with_name("alone.duckdb"))
    record, times = recording.record, []

    def failing(*args, **options):
        times.append(None)
        if len(times) == n:
            raise StoreLocked("held by somebody")
        return record(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(recording, "record", failing)
        with pytest.raises(StoreLocked, match="held by somebody"):
            run(stopped)
    assert query(stopped, "SELECT finished_at FROM feature_sets") == [(None,)]
    run(stopped)
    assert tables(stopped) == left_alone


def test_an_earlier_picture_that_was_put_right_takes_the_place_of_a_later_one(tmp_path, tried):
    path = catalogue(tmp_path)
    run(path)
    picture(tmp_path, "v")
    assert run(path).n_embedded_now == 0  # nobody said that it is another now
    tried.clear()
    report = run(path, retry_failed=True)
    assert chosen(path) == EXPECTED | {1: (0, "v"), 4: (0, "v")}
    assert (report.n_embedded_now, report.n_items) == (1, 8)
    assert {name for name in tried if name in "abcdefg"} == set()
    assert query(path, "SELECT DISTINCT item_idx FROM feature_failures ORDER BY 1") == [(2,), (6,), (9,)]
    assert violations(path) == {}


def test_each_failed_picture_is_tried_again_once_and_the_lowest_good_one_wins(tmp_path, tried):
    path = catalogue(tmp_path)
    run(path)
    picture(tmp_path, "x")  # second of items 2 and 9
    tried.clear()
    run(path, retry_failed=True)
    assert chosen(path) == EXPECTED | {2: (1, "x"), 9: (1, "x")}
    assert sorted(tried) == ["v", "w", "x", "z"]  # y comes after x, and the pictures that are gone cannot be read
    assert query(path, "SELECT position FROM feature_failures WHERE item_idx = 2 ORDER BY 1") == [(0,), (2,)]
    assert violations(path) == {}


def test_a_picture_that_broke_after_it_was_embedded_makes_room_for_the_next(tmp_path):
    path = catalogue(tmp_path)
    run(path)
    (tmp_path / "f.png").write_bytes(b"no picture")
    (tmp_path / "a.png").unlink()
    with Store(path, mode="write") as store:
        store.run("UPDATE assets SET status = 'pending', reason = 'not read', content_sha256 = NULL WHERE item_idx IN (0, 5) AND modality = 'visual'")
    run(path)
    assert {item: of for item, of in _positions(path).items() if item in (0, 5)} == {0: 1}
    assert query(path, "SELECT item_idx, position FROM feature_failures WHERE item_idx IN (0, 5) ORDER BY 1") == [(0, 0), (5, 0)]
    assert query(path, STATES.format(5)) == [(5, 0, "decode_error", "not a picture of a known format")]
    assert violations(path) == {}


def _positions(path: Path) -> dict[int, int]:
    return dict(query(path, "SELECT item_idx, position FROM feature_rows"))


def test_a_picture_that_was_fetched_later_takes_the_place_of_those_after_it(tmp_path):
    path = catalogue(tmp_path)
    run(path)
    file = picture(tmp_path, "h")
    with Store(path, mode="write") as store:
        store.run(
            "INSERT INTO downloads VALUES ('https://x.org/a.png', 'visual', 'ok', NULL, $sha256, $bytes, $file, now()::TIMESTAMP)",
            sha256=fingerprint.of_file(file), bytes=file.stat().st_size, file=str(file),
        )  # fmt: skip
        store.run("UPDATE assets SET status = 'ok', reason = NULL, content_sha256 = $sha256 WHERE item_idx = 8 AND location = 'https://x.org/a.png'",
                  sha256=fingerprint.of_file(file))  # fmt: skip
    run(path)
    assert chosen(path) == EXPECTED | {8: (0, "h")}
    assert violations(path) == {}


def test_the_mean_and_the_first_are_two_sets_side_by_side_and_equal_where_an_item_has_one_picture(tmp_path):
    path = catalogue(tmp_path)
    first, mean = run(path), run(path, several=None)
    assert (first.feature_set.feature_set_id, mean.feature_set.feature_set_id) == (1, 2)
    assert run(path, several=Several.MEAN).feature_set == mean.feature_set
    settings = query(path, "SELECT parameters FROM feature_sets ORDER BY feature_set_id")
    assert [json.loads(parameters)["several"] for (parameters,) in settings] == ["first", "mean"]
    assert listed(path)["several"].to_list() == ["first", "mean"]
    assert chosen(path) == EXPECTED
    assert query(path, "SELECT position FROM feature_rows WHERE feature_set_id = 2 AND item_idx = 0 ORDER BY 1") == [(0,), (1,), (2,)]
    assert query(path, "SELECT DISTINCT feature_set_id FROM item_means") == [(2,)]
    one = "SELECT vector FROM vectors_{0} JOIN feature_rows USING (content_sha256) WHERE feature_set_id = {0} AND item_idx = 5"
    assert query(path, one.format(1)) == query(path, one.format(2))
    assert violations(path) == {}


def test_pictures_of_one_an_item_give_the_same_tables_either_way(tmp_path):
    files = {item: [picture(tmp_path, letter)] for item, letter in enumerate("abcda")} | {5: [broken(tmp_path, "z")]}
    paths = [write_catalogue(tmp_path / f"{name}.duckdb", [("a", None)] * 6, files={Modality.VISUAL: files}) for name in ("first", "mean")]
    for path, several in zip(paths, (Several.FIRST, Several.MEAN), strict=True):
        run(path, several=several)
    first, mean = ({name: rows for name, rows in tables(path).items() if name != "feature_sets"} for path in paths)
    assert first == mean


def test_a_file_without_sound_is_passed_by_and_the_next_one_is_heard(tmp_path):
    silent, short, good = (tmp_path / f"{name}.wav" for name in ("silent", "short", "good"))
    write_wav(silent, 0 * tone(1.0))
    write_wav(short, tone(0.01))
    write_wav(good, tone(0.5))
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 2, files={Modality.AUDIO: {0: [silent, short, good], 1: [good, silent]}})
    report = run(path, modality=Modality.AUDIO, encoder="log-mel")
    assert _positions(path) == {0: 2, 1: 0}
    assert report.n_failed == 2
    assert violations(path) == {}


def test_a_video_without_a_sound_track_is_passed_by_and_is_no_failure(tmp_path):
    """It turns out to be absent, which takes it off the list of files, but not out of the order."""
    silent, good, other = write_video(tmp_path / "silent.mp4"), tmp_path / "good.wav", tmp_path / "other.wav"
    write_wav(good, tone(0.5))
    write_wav(other, tone(0.5, hz=300.0))
    files = {0: [silent, good, other], 1: [silent, tmp_path / "gone.wav", other], 2: [silent]}
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 3, files={Modality.AUDIO: files})
    options = {"modality": Modality.AUDIO, "encoder": "log-mel"}
    assert run(path, **options).n_failed == 1  # the one that is gone
    assert _positions(path) == {0: 1, 1: 2}
    before = tables(path)
    assert run(path, **options).n_embedded_now == 0
    assert run(path, retry_failed=True, **options).n_embedded_now == 0
    assert tables(path) == before
    assert violations(path) == {}


def test_where_all_are_broken_the_command_says_so_and_the_next_run_tries_again(tmp_path):
    files = {0: [broken(tmp_path, "x"), broken(tmp_path, "y")], 1: [broken(tmp_path, "z")]}
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 2, files={Modality.VISUAL: files})
    with pytest.raises(DataError, match="embedded none of the pictures: 2 items failed"):
        run(path)
    picture(tmp_path, "y")
    assert run(path).n_items == 1
    assert _positions(path) == {0: 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": Modality.TEXT, "encoder": "hashed-ngrams"}, "--several first means nothing to text"),
        ({"encoder": "imported"}, "--several first means nothing to vectors that came ready-made"),
    ],
    ids=["text", "imported"],
)
def test_a_choice_between_files_is_refused_where_there_are_none(tmp_path, options, message):
    with pytest.raises(BadValue, match=message):
        run(tmp_path / "s.duckdb", options=EncoderOptions(), **options)
