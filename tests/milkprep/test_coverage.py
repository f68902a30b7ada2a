"""Coverage: counts worked by hand, bars, tables that fit a terminal, and what the command says."""

import json

import planted
import polars as pl
import pytest
from small_catalogue import write_catalogue
from typer.testing import CliRunner

import cli
from milkprep import splits
from milkprep.inspection import coverage, coverage_bars
from schemas import feature_sets
from schemas.contracts import EncoderIdentity, Modality, Setting
from schemas.errors import DataError, SplitMissing
from schemas.store import Store

LONG = "a reason that goes on " + "and on " * 30


@pytest.fixture
def store(tmp_path):
    """120 items: the first 30 have no picture, the last 10 no text, every other one no sound."""
    path = planted.fill(tmp_path / "s.duckdb")
    with Store(path, mode="write") as opened:
        for number, lacking in ((1, "item_idx < 30"), (2, "item_idx >= 110"), (3, "item_idx % 2 = 1")):
            opened.run(f"DELETE FROM feature_rows WHERE feature_set_id = {number} AND {lacking}")
        opened.run("UPDATE assets SET status = 'absent', reason = 'no picture' WHERE modality = 'visual' AND item_idx < 10")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


def run(*arguments, expect=0, **options):
    result = CliRunner().invoke(cli.app, ["coverage", *map(str, arguments)], **options)
    assert result.exit_code == expect, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def test_modalities_are_counted_with_what_made_their_vectors(store):
    found = coverage.count(store)
    assert found.n_items == 120
    assert found.modalities.rows() == [
        ("visual", 90, 30, 0.75, "planted", "none"),
        ("text", 110, 10, 110 / 120, "planted", "none"),
        ("audio", 60, 60, 0.5, "planted", "none"),
    ]


def test_combinations_are_counted_and_named(store):
    found = coverage.count(store).combinations
    assert found.select("combination", "items").rows() == [
        ("visual + text + audio", 40), ("visual + text", 40), ("text + audio", 15), ("text only", 15), ("visual + audio", 5), ("visual only", 5),
    ]  # fmt: skip
    assert found["share"].sum() == pytest.approx(1)


def test_reasons_are_counted_modality_by_modality_most_frequent_first(store):
    assert coverage.count(store).reasons.select("modality", "reason", "items").rows() == [
        ("visual", "not extracted yet", 20), ("visual", "no picture", 10), ("text", "not extracted yet", 10), ("audio", "not extracted yet", 60),
    ]  # fmt: skip


def test_a_split_shows_what_each_part_has_loses_and_is_left_with(store):
    found = coverage.count(store, split="ftmt-0").split
    assert (found.name, found.setting, found.agrees) == ("ftmt-0", "ftmt", True)
    with Store(store, mode="read") as opened:
        cells = opened.query("SELECT * FROM split_availability JOIN split_items USING (split_id, item_idx)")
    assert found.parts.select("part", "modality", "items").rows() == [
        (part, modality.value, items) for part, items in (("train", 96), ("val", 12), ("test", 12)) for modality in Modality
    ]
    for part, modality, _, present, lost, left in found.parts.iter_rows():
        mine = cells.filter((pl.col("part") == part) & (pl.col("modality") == modality))
        assert (present, lost, left) == (mine["present"].sum(), mine["lost"].sum(), mine.filter(pl.col("present") & ~pl.col("lost")).height)
        assert present == lost + left
    by_part = dict(found.parts.group_by("part").agg(pl.sum("lost")).iter_rows())
    assert by_part["train"] == 0
    assert by_part["test"] > 0
    assert coverage.count(store).split is None


def test_a_split_of_another_availability_is_told(store):
    with Store(store, mode="write") as opened:
        opened.run("DELETE FROM feature_rows WHERE feature_set_id = 1 AND item_idx = 100")
    assert not coverage.count(store, split="ftmt-0").split.agrees
    said = run("--store", store, "--split", "ftmt-0").stderr
    assert "Split ftmt-0 was drawn from another availability than that of now. Build it again" in said


def test_a_split_that_is_not_there_is_refused_with_those_that_are(store):
    with pytest.raises(SplitMissing, match=r"has no split 'ftft-9'\. It has: ftmt-0\."):
        coverage.count(store, split="ftft-9")


def test_a_store_without_items_has_no_coverage(tmp_path):
    with Store(tmp_path / "s.duckdb", mode="write"):
        pass
    with pytest.raises(DataError, match=r"holds no items\. .*pull"):
        coverage.count(tmp_path / "s.duckdb")


def test_before_any_extraction_everything_is_lacking_with_its_reason(tmp_path):
    found = coverage.count(write_catalogue(tmp_path / "s.duckdb", [("red", None), (None, None)]))
    assert found.modalities.select("has", "lacks", "encoder").rows() == [(0, 2, None)] * 3
    assert found.combinations.select("combination", "items").rows() == [("none", 2)]
    assert ("text", "not extracted yet", 1) in found.reasons.select("modality", "reason", "items").rows()
    assert [title for title, _ in coverage_bars.tables(found)] == ["2 items by modality", "by combination of modalities", "why items lack a modality"]


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "····"), (1e-9, "▏···"), (1 / 32, "▏···"), (0.25, "█···"), (0.5 + 3 / 32, "██▍·"), (1.0, "████")],
)
def test_a_bar_shows_a_share_to_an_eighth_and_never_hides_what_is_there(share, shown):
    assert coverage_bars.bar(share, width=4) == shown


@pytest.mark.parametrize(
    ("left", "lost", "items", "shown"),
    [(8, 0, 8, "████████"), (4, 2, 8, "████▒▒··"), (0, 8, 8, "▒▒▒▒▒▒▒▒"), (0, 0, 8, "········"), (0, 0, 0, "········")],
)
def test_a_stacked_bar_keeps_to_its_width(left, lost, items, shown):
    assert coverage_bars.stacked_bar(left, lost, items, width=8) == shown


def test_weights_nobody_trained_are_named_in_the_table(store):
    with Store(store, mode="write") as opened:
        made = feature_sets.register(opened, Modality.VISUAL, EncoderIdentity("tiny", "random", "", 2, "mean"))
        feature_sets.append_vectors(opened, made, pl.DataFrame({"content_sha256": ["a"], "vector": [[1.0, 0.0]]}))
        feature_sets.append_rows(opened, made, pl.DataFrame({"item_idx": [0], "position": [0], "content_sha256": ["a"]}))
        feature_sets.finish(opened, made, n_failed=0, seconds=0, as_default=True)
    modalities = coverage_bars.tables(coverage.count(store))[0][1]
    assert modalities["vectors by"].to_list() == ["tiny (random weights)", "planted", "planted"]


def test_rare_reasons_are_summed_up_and_long_ones_cut(store):
    with Store(store, mode="write") as opened:
        opened.run("UPDATE assets SET status = 'absent', reason = 'number ' || item_idx WHERE modality = 'audio' AND item_idx > 20")
        opened.run("UPDATE assets SET status = 'absent', reason = $long WHERE modality = 'visual'", long=LONG + "\x1b[31m\n")
    reasons = dict(coverage_bars.tables(coverage.count(store)))["why items lack a modality"]
    audio = reasons.filter(pl.col("modality") == "audio")
    assert audio.height == coverage_bars.MOST_REASONS + 1
    assert audio.row(-1)[-1] == "43 other reasons"  # 10 not extracted yet, and 50 with a number each, 7 of them shown
    assert audio["items"].sum() == 60
    visual = reasons.filter(pl.col("modality") == "visual")["reason"].item()
    assert len(visual) <= coverage_bars.LONGEST_REASON
    assert visual.isprintable()
    told = coverage.count(store).reasons.filter(pl.col("modality") == "visual")["reason"].item()
    assert told == LONG + "\x1b[31m\n"  # programs get all of it


def test_the_tables_fit_a_terminal_of_80_columns(store):
    with Store(store, mode="write") as opened:
        opened.run("UPDATE assets SET status = 'absent', reason = $long WHERE modality = 'visual'", long=LONG)
    shown = run("--store", store, "--split", "ftmt-0", env={"COLUMNS": "80"}).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert [line.split() for line in shown.splitlines() if "audio only" in line or line.split()[:3] == ["text", "+", "audio"]] == [
        ["text", "+", "audio", "15", "12.5", "██▌·················"]
    ]
    assert "split ftmt-0 (ftmt): █ left, ▒ lost, · never there" in shown


def test_a_terminal_without_block_characters_gets_ascii(store):
    counted = coverage.count(store, split="ftmt-0")
    for title, frame in coverage_bars.tables(counted, plain=True):
        assert title.isascii()
        assert all(bar.isascii() for bar in frame[""])
    assert coverage_bars.tables(counted, plain=True)[1][1][""][2] == "###................."  # 15 of 120


def test_splits_that_could_be_shown_are_named(store):
    assert "shown with --split: ftmt-0" in run("--store", store).stderr


def test_programs_get_json_alone(store):
    found = json.loads(run("--store", store, "--split", "ftmt-0", "--json").stdout)
    assert set(found) == {"store", "items", "modalities", "combinations", "reasons", "split"}
    assert found["combinations"][4] == {
        "combination": "visual + audio", "visual": True, "text": False, "audio": True, "items": 5, "share": pytest.approx(5 / 120),
    }  # fmt: skip
    assert found["split"]["parts"][0]["items"] == 96
    assert json.loads(run("--store", store, "--json").stdout)["split"] is None
