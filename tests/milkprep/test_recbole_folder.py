"""RecBole's atomic files: typed headers, keys as texts, vectors that name their item."""

from pathlib import Path

import pytest
from raw_files import count, rejects, table

from milkprep.sources import prepared
from schemas.contracts import Modality
from schemas.errors import SourceError
from schemas.reporting import Silent
from schemas.store import Store

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ROWS = ["anna\tA-1\t4\t1500000000\n", "anna\tB 2\t5\t1500000001.5\n", "ben\tA-1\t\t\n"]
STORED = (
    'SELECT user_key, item_key, rating, epoch("timestamp") FROM interactions JOIN users USING (user_idx) JOIN items USING (item_idx) ORDER BY ALL'
)
PAIRS = [("anna", "A-1", 4.0, 1_500_000_000), ("anna", "B 2", 5.0, 1_500_000_001), ("ben", "A-1", None, None)]


def write(folder: Path, *, parts: bool = False) -> Path:
    """A dataset of three pairs, three items and their vectors, one of which nobody can use."""
    folder.mkdir()
    if parts:
        for part, row in zip(("train", "valid", "test"), ROWS, strict=True):
            (folder / f"toy.{part}.inter").write_text(INTER + row)
    else:
        (folder / "toy.inter").write_text(INTER + "".join(ROWS))
    (folder / "toy.item").write_text("item_id:token\ttitle:token_seq\tbrand:token\nA-1\tRed &amp; blue card\tAcme\nB 2\t\t\nC\tNobody's\t\n")
    (folder / "toy.itememb").write_text("iid:token\titem_emb:float_seq\nA-1\t1 2 3\nB 2\t4 5\nC\t7 8 9\nD\t1 1 1\n")
    return folder


def pull(folder: Path, **options):
    return prepared.pull_folder(folder.parent / "s.duckdb", folder, reporter=Silent(), **options)


@pytest.mark.parametrize("parts", [False, True])
def test_pairs_items_and_vectors_are_taken_by_their_keys(tmp_path, parts):
    report = pull(write(tmp_path / "d", parts=parts), embeds=Modality.VISUAL)
    assert table(tmp_path, STORED) == PAIRS
    assert table(tmp_path, "SELECT item_key, title, brand FROM items") == [
        ("A-1", "Red & blue card", "Acme"),
        ("B 2", None, None),
        ("C", "Nobody's", None),
    ]
    assert table(tmp_path, "SELECT item_key, vector FROM features_visual ORDER BY 1") == [("A-1", [1.0, 2.0, 3.0]), ("C", [7.0, 8.0, 9.0])]
    assert rejects(tmp_path, "toy.itememb") == [(3, "wrong_width"), (5, "without_item")]
    assert (count(report, "toy.itememb", "read"), count(report, "toy.itememb", "taken")) == (4, 2)
    assert "visual vectors" in report.notes[1]
    assert len(report.notes) == 2  # nothing else lies there
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert [rule for rule, rows in store.violations().items() if rows.height] == []
    assert not pull(tmp_path / "d", embeds=Modality.VISUAL).changed


def test_a_file_that_is_not_read_is_named(tmp_path):
    folder = write(tmp_path / "d")
    (folder / "toy.user").write_text("user_id:token\n")
    assert pull(folder).notes[-1] == "Not read: toy.user."


def test_vectors_may_stand_for_the_text(tmp_path):
    pull(write(tmp_path / "d"))
    assert table(tmp_path, "SELECT item_key FROM features_text ORDER BY 1") == [("A-1",), ("C",)]
    assert table(tmp_path, "SELECT status, reason FROM assets JOIN items USING (item_idx) WHERE item_key = 'B 2'") == [
        ("decode_error", "its row in toy.itememb has 2 values, not 3")
    ]


def test_rejects_of_several_files_are_those_of_each(tmp_path):
    folder = write(tmp_path / "d", parts=True)
    (folder / "toy.valid.inter").write_text(INTER + "no item\t\t\t\n" + ROWS[1])
    (folder / "toy.test.inter").write_text(INTER + ROWS[2] + ROWS[0].replace("1500000000", "1600000000"))
    report = pull(folder)
    assert table(tmp_path, STORED) == PAIRS
    assert rejects(tmp_path, "toy.valid.inter") == [(2, "missing_key")]
    assert rejects(tmp_path, "toy.test.inter") == [(3, "duplicate_pair")]
    assert [(count(report, f"toy.{part}.inter", "read"), count(report, f"toy.{part}.inter", "taken")) for part in ("train", "valid", "test")] == [
        (1, 1), (2, 1), (2, 1)
    ]  # fmt: skip


def test_a_pair_that_is_there_again_at_the_same_line_of_another_file_is_told_with_its_file(tmp_path):
    folder = write(tmp_path / "d", parts=True)
    again = ROWS[0].replace("1500000000", "1600000000")
    (folder / "toy.train.inter").write_text(INTER + ROWS[0] + again)
    (folder / "toy.valid.inter").write_text(INTER + again.replace("4", "3") + ROWS[1])
    (folder / "toy.test.inter").write_text(INTER + ROWS[0] + ROWS[2])
    pull(folder)
    assert table(tmp_path, STORED) == PAIRS
    assert table(tmp_path, "SELECT source, line, detail FROM rejects WHERE source LIKE '%.inter' ORDER BY source") == [
        ("toy.test.inter", 2, "same bytes as line 2 of toy.train.inter"),
        ("toy.train.inter", 3, "same user and item as line 2, which is kept"),
        ("toy.valid.inter", 2, "same user and item as line 2 of toy.train.inter, which is kept"),
    ]
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert [rule for rule, rows in store.violations().items() if rows.height] == []


def test_pairs_below_the_core_are_rejects_of_their_file(tmp_path):
    folder = write(tmp_path / "d", parts=True)
    crowd = "".join(f"{user}\t{item}\t\t\n" for user in ("p", "q") for item in ("x", "y"))
    (folder / "toy.test.inter").write_text(INTER + crowd)
    pull(folder, core=2)
    assert table(tmp_path, "SELECT count(*) FROM interactions") == [(4,)]
    assert [(source, *rejects(tmp_path, source)) for source in ("toy.train.inter", "toy.valid.inter", "toy.test.inter")] == [
        ("toy.train.inter", (2, "below_core")), ("toy.valid.inter", (2, "below_core")), ("toy.test.inter",)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("toy.itememb", "iid:token\titem_emb:float_seq\n", "Needed are two tab-separated columns"),
        ("toy.itememb", "a,b\n1,2\n", "Needed are two tab-separated columns"),
        ("toy.item", "title:token_seq\nCard\n", "Needed, each with its type: item_id"),
        ("other.inter", INTER + ROWS[0], "holds several datasets: other.inter, toy.inter"),
        ("toy.inter", INTER, "holds no row|no interaction"),
    ],
)
def test_files_of_another_shape_are_refused_and_leave_no_store(tmp_path, name, text, says):
    folder = write(tmp_path / "d")
    (folder / name).write_text(text)
    with pytest.raises(SourceError, match=says):
        pull(folder)
    assert not (tmp_path / "s.duckdb").exists()


def test_a_folder_without_such_files_is_not_taken_for_one(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(SourceError, match=r"holds no \.inter file with user_id:token"):
        pull(tmp_path / "d", layout="recbole")
