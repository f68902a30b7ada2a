"""Feature sets listed, shown and removed: what changes, what stays, and what is said of it."""

import json

import polars as pl
import pytest
from raw_files import pull_prepared, write_vectors
from small_catalogue import query, tables, violations, write_catalogue
from typer.testing import CliRunner

import cli
from milkprep import extract, splits
from milkprep.inspection import feature_set_changes as sets
from schemas import feature_sets
from schemas.contracts import EncoderIdentity, Modality, Setting
from schemas.errors import DataError, FeatureMissing, Stale, StoreError
from schemas.reporting import Silent
from schemas.store import Store

TEXTS = [("red card", None), ("blue card", "thick"), (None, "green"), (None, None), ("red card", "thin")]


@pytest.fixture
def two(tmp_path):
    """A store with texts by title (set 1), by description (set 2, which is shown), and a set 3 that was never finished."""
    path = write_catalogue(tmp_path / "texts.duckdb", TEXTS)
    for fields in (("title",), ("description",)):
        extract.extract(path, modality=Modality.TEXT, encoder="hashed-ngrams", fields=fields, as_default=True, reporter=Silent())
    sets.use(path, 2)
    with Store(path, mode="write") as store:
        feature_sets.register(store, Modality.TEXT, EncoderIdentity("tiny", "random", "", 2, "mean"))
    return path


def text_of(path):
    return [item for (item,) in query(path, "SELECT item_idx FROM features_text ORDER BY 1")]


def run(*arguments, expect=0, **options):
    result = CliRunner().invoke(cli.app, ["feature-sets", *map(str, arguments)], **options)
    assert result.exit_code == expect, f"{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def test_the_list_has_every_set_with_what_made_it_and_what_it_holds(two):
    listed = sets.listed(two)
    chosen = listed.select("id", "modality", "encoder", "weights", "items", "contents", "failed", "current", "finished")
    assert chosen.rows() == [
        (1, "text", "hashed-ngrams", "none", 3, 2, 0, False, True),
        (2, "text", "hashed-ngrams", "none", 3, 3, 0, True, True),
        (3, "text", "tiny", "random", 0, 0, 0, False, False),
    ]
    assert listed["width"].to_list()[2] == 2


def test_another_set_is_shown_at_once_with_its_own_availability_and_reasons(two):
    assert text_of(two) == [1, 2, 4]
    change = sets.use(two, 1)
    assert (change.shown.feature_set_id, change.was_shown) == (1, False)
    assert text_of(two) == [0, 1, 4]
    assert query(two, "SELECT item_idx, text_reason FROM modality_availability WHERE NOT text") == [(2, "no text in title"), (3, "no title")]
    assert sets.use(two, 1).was_shown
    assert violations(two) == {}


def test_removing_a_set_that_is_not_shown_leaves_the_other_as_it_was(two):
    before = tables(two)
    change = sets.remove(two, sets.find(two, 1))
    assert (change.shown.feature_set_id, change.was_shown) == (2, False)
    after = tables(two)
    assert "vectors_1" not in after
    assert after["vectors_2"] == before["vectors_2"]
    assert after["modality_availability"] == before["modality_availability"]
    assert {row[0] for name in ("feature_rows", "feature_failures", "feature_sets") for row in after[name]} == {2, 3}
    assert violations(two) == {}


def test_removing_the_shown_set_shows_the_one_finished_last_and_then_none(two):
    change = sets.remove(two, sets.find(two, 2))
    assert (change.shown.feature_set_id, change.was_shown) == (1, True)
    assert text_of(two) == [0, 1, 4]
    change = sets.remove(two, sets.find(two, 1))
    assert (change.shown, change.was_shown) == (None, True)
    assert text_of(two) == []
    assert sets.remove(two, sets.find(two, 3)).shown is None
    assert query(two, "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'vectors%'") == []
    assert violations(two) == {}


def test_means_and_failures_go_with_their_set(tmp_path):
    path = write_catalogue(tmp_path / "s.duckdb", TEXTS)
    with Store(path, mode="write") as store:
        made = feature_sets.register(store, Modality.TEXT, EncoderIdentity("tiny", "random", "", 2, "mean"))
        feature_sets.append_vectors(store, made, pl.DataFrame({"content_sha256": ["a", "b"], "vector": [[1.0, 0.0], [0.0, 1.0]]}))
        feature_sets.append_rows(store, made, pl.DataFrame({"item_idx": [0, 0], "position": [0, 1], "content_sha256": ["a", "b"]}))
        store.run("INSERT INTO feature_failures VALUES (1, 1, 0, NULL, 'decode_error', 'broke')")
        feature_sets.finish(store, made, n_failed=1, seconds=0)
    assert query(path, "SELECT count(*) FROM item_means") == [(1,)]
    sets.remove(path, sets.find(path, 1))
    assert query(path, "SELECT (SELECT count(*) FROM item_means), (SELECT count(*) FROM feature_failures)") == [(0, 0)]


def test_showing_a_set_makes_up_for_means_that_an_older_version_did_not_store(two):
    with Store(two, mode="write") as store:
        store.run(
            "INSERT INTO feature_rows SELECT feature_set_id, item_idx, 1, content_sha256 FROM feature_rows WHERE feature_set_id = 1 AND item_idx = 0"
        )
    sets.use(two, 1)
    assert query(two, "SELECT feature_set_id, item_idx, n FROM item_means") == [(1, 0, 2)]
    assert violations(two) == {}


def test_a_run_that_fills_a_set_which_was_removed_is_told_so(two):
    unfinished = sets.find(two, 3)
    sets.remove(two, unfinished)
    with Store(two, mode="write") as store:
        other = feature_sets.register(store, Modality.TEXT, EncoderIdentity("another", "random", "", 2, "mean"))
        assert other.feature_set_id == 3  # the number is free again
        with pytest.raises(Stale, match=r"Feature set 3 of .* was removed while it was being filled"):
            feature_sets.append_vectors(store, unfinished, pl.DataFrame({"content_sha256": ["a"], "vector": [[1.0, 0.0]]}))
    with pytest.raises(FeatureMissing, match="another one by now"):
        sets.remove(two, unfinished)


def test_what_cannot_be_shown_is_refused_with_what_there_is(two):
    with pytest.raises(FeatureMissing, match=r"has no feature set 7\. It has: 1 \(text by hashed-ngrams\), 2 \(text by hashed-ngrams\), 3"):
        sets.use(two, 7)
    with pytest.raises(FeatureMissing, match=r"Feature set 3 .* never finished\. Run the `extract --modality text` again .*--remove 3"):
        sets.use(two, 3)
    assert text_of(two) == [1, 2, 4]


def test_a_removal_that_fails_leaves_everything(two, monkeypatch):
    before = tables(two)
    monkeypatch.setattr(sets.availability, "stale_splits", lambda store: store.run("FROM no_such_thing"))
    with pytest.raises(StoreError, match="no_such_thing"):
        sets.remove(two, sets.find(two, 2))
    assert tables(two) == before


@pytest.fixture
def imported(tmp_path):
    """Ready-made pictures of twenty items, two of them unusable, and a split drawn from them."""
    vectors = [[0.0, 0.0] if item < 2 else [1.0 + item, 2.0] for item in range(20)]
    pull_prepared(tmp_path, [(u, i) for u in range(8) for i in range(20)], features={Modality.VISUAL: write_vectors(tmp_path / "v.npy", vectors)})
    splits.build(tmp_path / "s.duckdb", setting=Setting.FTFT, seed=0)
    return tmp_path / "s.duckdb"


def test_splits_that_no_longer_agree_are_named_and_those_that_do_are_not(imported):
    assert sets.use(imported, 1).stale_splits == ()
    assert sets.remove(imported, sets.find(imported, 1)).stale_splits == ("ftft-0",)


def test_no_extraction_looks_for_files_where_imported_vectors_lay(imported):
    sets.remove(imported, sets.find(imported, 1))
    assert query(imported, "SELECT DISTINCT status FROM assets") == [("absent",)]
    assert query(imported, "SELECT visual_reason, count(*) FROM modality_availability GROUP BY 1 ORDER BY 2") == [
        ("its row in v.npy is all zeros", 2), ("its vectors of v.npy were removed", 18),
    ]  # fmt: skip
    with pytest.raises(DataError, match="visual"):
        extract.extract(imported, modality=Modality.VISUAL, encoder="colour-layout", as_default=True, reporter=Silent())
    assert violations(imported) == {}


def test_the_command_asks_before_it_removes(two):
    before = tables(two)
    assert "Nothing was removed" in run("--remove", 1, "--store", two, input="n\n", expect=1).stderr
    assert "Give --yes" in run("--remove", 1, "--store", two, expect=2).stderr
    assert tables(two) == before
    asked = run("--remove", 2, "--store", two, input="y\n").stderr
    assert "Remove feature set 2 (text by hashed-ngrams)" in asked
    assert "features_text shows feature set 1 (text by hashed-ngrams) now." in asked
    said = run("--remove", 1, "--yes", "--store", two).stderr
    assert "features_text shows nothing now" in said
    assert "holds no feature set" in run("--remove", 3, "--yes", "--store", two).stderr


def test_the_command_says_what_a_change_came_to(two, imported):
    assert "features_text shows feature set 1 (text by hashed-ngrams) now." in run("--use", 1, "--store", two).stderr
    assert "features_text shows feature set 1 (text by hashed-ngrams) already." in run("--use", 1, "--store", two).stderr
    assert "shows what it showed before" in run("--remove", 2, "--yes", "--store", two).stderr
    asked = run("--remove", 1, "--store", imported, input="y\n").stderr
    assert "only a pull into a new store brings them again" in asked
    assert "do not agree with the availability now, and are not trained on until they are built again: ftft-0" in asked


def test_the_command_answers_programs_in_json_alone(two):
    found = json.loads(run("--store", two, "--json").stdout)
    assert set(found) == {"store", "feature_sets"}
    assert [row["current"] for row in found["feature_sets"]] == [False, True, False]
    found = json.loads(run("--store", two, "--use", 1, "--json").stdout)
    assert (found["shown"], found["removed"], found["stale_splits"]) == (1, None, [])
    found = json.loads(run("--store", two, "--remove", 1, "--yes", "--json").stdout)
    assert (found["shown"], found["removed"], len(found["feature_sets"])) == (2, 1, 2)


def test_the_tables_fit_a_terminal_of_80_columns_and_say_random(two):
    shown = run("--store", two, env={"COLUMNS": "80"}).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert [line.split() for line in shown.splitlines() if "tiny" in line] == [["3", "text", "tiny", "random", "unfinished"]]
