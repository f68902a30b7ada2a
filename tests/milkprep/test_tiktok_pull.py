"""`pull tiktok`: views, vectors and faces of the ICME 2019 files, every trap of theirs included."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
import short_videos as short
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import count, rejects, table
from short_videos import audio, faces, title, video, view

from milkprep.pull.lines import read_blocks
from milkprep.pull.staging import REFUSALS, RawFile
from milkprep.sources import _tiktok_views, tiktok
from schemas.errors import BadValue, DataError, SourceError
from schemas.reporting import Silent
from schemas.store import Store

VIEWS, TITLES, VIDEO, AUDIO, FACES = "final_track2_train.txt", *(short.NAMES[role] for role in ("titles", "video", "audio", "faces"))
#: Items 2, 10 and 11 are finished; by bytes that order is 10, 11, 2.
THREE = [view(1, 2), view(1, 10), view(2, 11)]


def sound(folder):
    with Store(folder / "s.duckdb", mode="read") as store:
        return {name for name, rows in store.violations().items() if rows.height} == set()


def shown(folder, modality):
    return [(key, vector[0]) for key, vector in table(folder, f"SELECT item_key, vector FROM features_{modality} ORDER BY item_idx")]


@pytest.mark.parametrize(("positive", "pairs"), [("finish", [("1", "10"), ("1", "2"), ("2", "10")]), ("like", [("2", "11"), ("2", "2")])])
def test_a_view_is_an_interaction_where_it_was_finished_or_liked_as_asked(tmp_path, positive, pairs):
    views = [view(1, 2), view(1, 10), view(2, 10), view(2, 11, finish=0, like=1), view(2, 2, finish=0, like=1), view(3, 12, finish=0)]
    report = short.pull(tmp_path, views, positive=positive)
    assert (
        table(tmp_path, "SELECT user_key, item_key FROM interactions JOIN users USING (user_idx) JOIN items USING (item_idx) ORDER BY ALL") == pairs
    )
    assert (count(report, VIEWS, "read"), count(report, VIEWS, "taken")) == (6, len(pairs))
    assert count(report, VIEWS, "not_positive") == 6 - len(pairs)
    assert rejects(tmp_path) == []  # millions of views are no interactions: counted, not listed
    assert table(tmp_path, 'SELECT DISTINCT rating, "timestamp" FROM interactions') == [(None, None)]


def test_ids_are_dense_and_follow_the_order_of_keys_by_bytes(tmp_path):
    short.pull(tmp_path, [view(9, 2), view(10, 10), view(100, 11)])
    assert table(tmp_path, "SELECT user_idx, user_key FROM users ORDER BY 1") == [(0, "10"), (1, "100"), (2, "9")]
    assert table(tmp_path, "SELECT item_idx, item_key, in_metadata FROM items ORDER BY 1") == [(0, "10", False), (1, "11", False), (2, "2", False)]
    assert sound(tmp_path)


def test_views_that_do_not_fit_are_rejects_with_their_reason(tmp_path):
    views = [
        view(1, 10) + b"\r",
        view(1, 11).rpartition(b"\t")[0],
        b"",
        view("x", 10),
        view(1, "10.0"),
        view(-1, 10),
        view(1, 11, finish=2),
        view(1, 10**19),
        view(1, " 10"),
        view(1, 10, like=1),
        view(1, 10) + b"\r",
        view("\u00fc", 10),
    ]
    report = short.pull(tmp_path, views)
    assert rejects(tmp_path) == [
        (2, "malformed"), (3, "malformed"), (4, "wrong_type"), (5, "wrong_type"), (6, "wrong_type"), (7, "wrong_type"), (8, "wrong_type"),
        (9, "wrong_type"), (10, "duplicate_pair"), (11, "duplicate_line"), (12, "wrong_type"),
    ]  # fmt: skip
    assert table(tmp_path, "SELECT detail FROM rejects WHERE line IN (2, 6, 7) ORDER BY line") == [
        ("11 tab-separated values where there should be 12",),
        ("uid is -1, but must be 0 or more",),
        ("finish is 2, but must be 0 or 1",),
    ]
    assert (count(report, VIEWS, "read"), count(report, VIEWS, "taken"), report.n_interactions) == (12, 1, 1)


FIELD = st.one_of(st.integers(-2, 2).map(str), st.sampled_from(["", " 1", "+1", "007", "1.0", "9" * 19, "0x1", "-", "-0", "1\r", "\u0661", '"1"']))


@settings(deadline=None, max_examples=200)
@given(lines=st.lists(st.lists(FIELD, min_size=11, max_size=13).map("\t".join), min_size=1, max_size=4), end=st.sampled_from(["\n", "\r\n"]))
def test_a_block_read_at_once_says_what_its_lines_say(tmp_path_factory, lines, end):
    file = tmp_path_factory.mktemp("views") / "views.txt"
    file.write_bytes((view().decode() + end).encode() + "".join(line + end for line in lines).encode())
    shape = _tiktok_views.shape_of(RawFile(file, "views.txt"), positive="like")
    (block,) = read_blocks(file)
    try:
        records = [shape.decode(line) for line in block.lines]
        shape.vet(records)
    except REFUSALS:
        assert shape.block(block) is None
    else:
        assert shape.block(block).equals(shape.frame(records))


def test_both_ways_of_reading_views_make_the_same_store(tmp_path, monkeypatch):
    views = [view(user, item, finish=(user * item) % 2) for user in range(1, 9) for item in range(10, 30)]
    first = short.pull(tmp_path, views)
    shape_of = _tiktok_views.shape_of
    monkeypatch.setattr(_tiktok_views, "shape_of", lambda raw, *, positive: replace(shape_of(raw, positive=positive), block=None))
    (tmp_path / "lines").mkdir()
    again = short.pull(tmp_path / "lines", views)
    assert first.steps.equals(again.steps)
    for name in ("users", "items", "interactions"):
        assert table(tmp_path, f"SELECT * FROM {name}") == table(tmp_path / "lines", f"SELECT * FROM {name}")


def test_vectors_reach_their_items_and_every_trap_is_a_reject_and_false_in_the_availability(tmp_path):
    views = [view(1, item) for item in (10, 11, 12, 13, 14, 15, 16)]
    lines = [
        video(11, 1.5),
        video(10, 2.5),
        video(11, 3.5),  # a second one
        video(12, [0.5] * 127),  # too short
        video(13, [0.5] * 129),
        video(14, 0.0),
        video(15, [float("nan")] + [1.0] * 127),  # as Python writes it, which JSON does not know
        video(99, 1.0),  # of no item
        b"{",
        audio(16, 1.0),  # the field of the other file
        b'{"item_id": "16", "video_feature_dim_128": []}',
        b'{"item_id": 16, "video_feature_dim_128": [1.0, null]}',
        b"",
        b'{"item_id": 16, "video_feature_dim_128": [\xff]}',
        b'{"item_id": 16, "video_feature_dim_128": [NaN',
    ]
    report = short.pull(tmp_path, views, files={"video": lines, "audio": [audio(item, item / 2) for item in range(10, 17)]})
    assert shown(tmp_path, "visual") == [("10", 2.5), ("11", 1.5)]
    assert shown(tmp_path, "audio") == [(str(item), item / 2) for item in range(10, 17)]
    assert rejects(tmp_path, VIDEO) == [
        (3, "duplicate_item"), (4, "wrong_width"), (5, "wrong_width"), (6, "all_zero"), (7, "not_finite"), (8, "without_item"), (9, "malformed"),
        (10, "wrong_type"), (11, "wrong_type"), (12, "wrong_type"), (13, "malformed"), (14, "not_utf8"), (15, "malformed"),
    ]  # fmt: skip
    assert table(tmp_path, "SELECT item_key, visual_reason FROM modality_availability WHERE NOT visual ORDER BY 1") == [
        ("12", f"its row in {VIDEO} has 127 values, not 128"),
        ("13", f"its row in {VIDEO} has 129 values, not 128"),
        ("14", f"its row in {VIDEO} is all zeros"),
        ("15", f"its row in {VIDEO} holds values that are not finite"),
        ("16", f"not in {VIDEO}"),
    ]
    assert (count(report, VIDEO, "read"), count(report, VIDEO, "taken")) == (15, 2)
    assert table(tmp_path, "SELECT modality, encoder, weights, width, n_items, n_failed FROM feature_sets ORDER BY 1") == [
        ("audio", "imported", AUDIO, 128, 7, 0),
        ("visual", "imported", VIDEO, 128, 2, 4),
    ]
    assert sound(tmp_path)


def test_vectors_are_read_page_by_page(tmp_path, monkeypatch):
    monkeypatch.setattr(tiktok, "PAGE_ROWS", 2)
    lines = [video(10, 1.0), video(10, 2.0), video(11, 3.0), b"", b"", b"", video(2, [1.0]), video(2, 4.0)]
    short.pull(tmp_path, THREE, files={"video": lines})
    assert shown(tmp_path, "visual") == [("10", 1.0), ("11", 3.0), ("2", 4.0)]
    assert rejects(tmp_path) == [(2, "duplicate_item"), (4, "malformed"), (5, "malformed"), (6, "malformed"), (7, "wrong_width")]


def test_values_keep_their_float32_bits(tmp_path):
    values = np.random.default_rng(0).normal(size=128).astype("float32")
    short.pull(tmp_path, THREE, files={"video": [video(10, [float(value) for value in values])]})
    assert np.array_equal(np.array(table(tmp_path, "SELECT vector FROM features_visual")[0][0], dtype="float32"), values)


def test_faces_are_a_table_of_their_own(tmp_path):
    lines = [
        faces(10, {"gender": 0, "beauty": 0.5, "relative_position": [0.125, 0.25, 0.5, 0.75]}, {"gender": 1, "beauty": None}),
        faces(11),
        faces(10, {"gender": 1}),
        faces(99, {"gender": 1}),
        faces(2, {"gender": 1, "relative_position": [0.5]}),
        faces(2, {"gender": -1, "beauty": 0.25, "relative_position": [0, 0, 1, 1]}),
    ]
    report = short.pull(tmp_path, THREE, files={"faces": lines})
    assert table(tmp_path, "SELECT item_key, position, gender, beauty, x, y, width, height FROM faces JOIN items USING (item_idx) ORDER BY ALL") == [
        ("10", 0, 0, 0.5, 0.125, 0.25, 0.5, 0.75),
        ("10", 1, 1, None, None, None, None, None),
        ("2", 0, -1, 0.25, 0, 0, 1, 1),
    ]
    assert rejects(tmp_path, FACES) == [(3, "duplicate_item"), (4, "without_item"), (5, "wrong_type")]
    assert count(report, FACES, "taken") == 3
    assert sound(tmp_path)


def test_on_request_every_item_of_any_file_is_kept(tmp_path):
    files = {"titles": [title(20, {1: 1}), title(10, {1: 2})], "video": [video(30, 1.0)], "faces": [faces(40)]}
    short.pull(tmp_path, [*THREE, view(1, 50, finish=0)], files=files, keep_all_items=True)
    assert [key for (key,) in table(tmp_path, "SELECT item_key FROM items ORDER BY item_idx")] == ["10", "11", "2", "20", "30", "40", "50"]
    assert shown(tmp_path, "visual") == [("30", 1.0)]
    assert rejects(tmp_path) == []
    assert sound(tmp_path)


def test_the_core_drops_views_and_what_belongs_to_items_without_any(tmp_path):
    views = [view(user, item) for user in (1, 2) for item in (10, 11)] + [view(3, 10), view(1, 12)]
    report = short.pull(tmp_path, views, files={"audio": [audio(12, 1.0), audio(10, 2.0)]}, core=2)
    assert (report.n_users, report.n_items, report.n_interactions) == (2, 2, 4)
    assert rejects(tmp_path, VIEWS) == [(5, "below_core"), (6, "below_core")]
    assert rejects(tmp_path, AUDIO) == [(1, "without_item")]


def test_gzipped_files_are_read_like_plain_ones(tmp_path):
    (tmp_path / "v.gz").write_bytes(gzip.compress(b"\n".join(THREE)))
    assert tiktok.pull(tmp_path / "s.duckdb", interactions=tmp_path / "v.gz", core=0, reporter=Silent()).n_interactions == 3


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"video": [audio(10, 1.0)]}, r"another kind of file than --video reads.*It looks like the file for --audio"),
        ({"audio": [video(10, 1.0)]}, r"It looks like the file for --video"),
        ({"titles": [faces(10)]}, r"It looks like the file for --faces"),
        ({"faces": [view()]}, r"Needed are JSON lines with item_id and face_attrs"),
        ({"video": [video(99, 1.0)]}, r"No row of track2_video_features\.txt belongs to an item that is taken"),
        ({"video": [video(10, [1.0])]}, r"No row of track2_video_features\.txt is a vector"),
        ({"titles": [title(10, {}), title(99, {1: 1})]}, r"No item that is taken has a title in track2_title\.txt"),
        ({"titles": []}, r"is empty"),
    ],
)
def test_a_file_of_another_kind_is_refused_and_nothing_is_stored(tmp_path, files, words):
    with pytest.raises(SourceError, match=words):
        short.pull(tmp_path, THREE, files=files)
    assert not (tmp_path / "s.duckdb").exists()


@pytest.mark.parametrize("first", [b"uid\titem_id", b'{"item_id": 10}', b"1\t2\t3", view().replace(b"\t", b",")])
def test_interactions_of_another_kind_are_refused(tmp_path, first):
    with pytest.raises(SourceError, match=r"final_track2_train\.txt is another kind of file; line 1 is refused: .*Needed are 12 whole numbers"):
        short.pull(tmp_path, [first] * 3)


def test_without_an_interaction_nothing_is_stored_and_the_reason_is_told(tmp_path):
    with pytest.raises(DataError, match=r"No interaction is left.*1 lines of final_track2_train\.txt dropped: a view that is no interaction"):
        short.pull(tmp_path, [view(finish=0)], files={"video": [video(10, 1.0)], "titles": [title(10, {1: 1})]})
    assert not (tmp_path / "s.duckdb").exists()


@pytest.mark.parametrize(
    ("options", "words"), [({"positive": "share"}, "--positive share"), ({"text_width": 0}, "--text-width 0"), ({"core": -1}, "--core -1")]
)
def test_a_setting_out_of_its_range_is_refused(tmp_path, options, words):
    with pytest.raises(BadValue, match=words):
        short.pull(tmp_path, THREE, **options)


def test_a_second_pull_changes_nothing_and_another_asks_to_replace(tmp_path):
    files = {"titles": [title(10, {1: 1, 2: 1}), title(2, {2: 3})], "video": [video(10, 1.0), video(11, 2.0)], "faces": [faces(10, {"gender": 1})]}
    reports = [short.pull(tmp_path, THREE, files=files) for _ in range(2)]
    assert [report.changed for report in reports] == [True, False]
    assert reports[0].steps.equals(reports[1].steps)
    with pytest.raises(DataError, match="already holds tiktok"):
        short.pull(tmp_path, THREE, files=files, positive="like")
    files = {"titles": [title(10, {3: 1})], "video": [video(10, 1.0)], "faces": [faces(2, {"gender": 0})]}
    assert short.pull(tmp_path, THREE[:2], files=files, replace=True).changed
    assert table(tmp_path, "SELECT item_idx, word, count FROM title_words") == [(0, 3, 1)]
    assert table(tmp_path, "SELECT item_idx, gender FROM faces") == [(1, 0)]
    assert shown(tmp_path, "visual") == [("10", 1.0)]
    assert sound(tmp_path)
