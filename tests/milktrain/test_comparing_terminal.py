"""What a terminal shows of many runs of many kinds: little, in order, and nothing that is empty."""

import pytest
from small_runs import labelled, write
from typer.testing import CliRunner

import cli
from milktrain.comparing import comparison, terminal

METRIC, OTHER = "recall@20", "ndcg@20"
MODELS = ("duif", "gar", "heater", "mtpr", "vbpr")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five models on one split and one on two; ten settings of milk, of which one is also on a dataset of its own."""
    folder = tmp_path_factory.mktemp("many") / "runs"
    for at, model in enumerate(MODELS):
        for split in ("ftmt-0", "ftmt-1")[: 2 if model == "vbpr" else 1]:
            _write(folder, 0.1 * at, model=model, split=split)
    for at in range(10):
        _write(folder, 0.05 * at, model="milk", settings={"lam": at, "dim": at % 3 + 1, "beta": at % 2, "alpha": at % 5, "learning_rate": 0.5})
    _write(folder, 0.5, model="milk", split="mtmt-0", settings={"lam": 0, "dim": 1, "beta": 0, "alpha": 0, "learning_rate": 0.5})
    return folder


def _write(folder, value, **record):
    return write(folder, {METRIC: [value, value / 2, value], OTHER: [value, 0, 0]}, **record)


def ask(*arguments, expect=0):
    result = CliRunner().invoke(cli.app, ["compare", *map(str, arguments)], env={"COLUMNS": "80"})
    assert result.exit_code == expect, f"{result.stderr}\n{result.exception!r}"
    return result


def _tables(said):
    """Rows by the line above their table; cells are two blanks apart."""
    found, title = {}, ""
    for line in said.stdout.splitlines():
        if line and not line.startswith(" "):
            title = line.strip()
        elif line.strip() and not line.strip().startswith("─"):
            found.setdefault(title, []).append([cell.strip() for cell in line.strip().split("  ") if cell.strip()])
    return found


def test_all_runs_of_a_folder_are_shown_the_best_first_without_empty_rows_and_columns(folder):
    said = ask("--runs", folder)
    assert max(map(len, said.stdout.splitlines())) <= 80
    tables = _tables(said)
    head, *rows = tables["a FTMT"]
    assert head == ["over", "Recall@20", "NDCG@20"]
    assert len(rows) == 15
    means = [float(row[2].split()[0].strip("*'†")) for row in rows]
    assert means[:-1] == sorted(means[:-1], reverse=True)
    assert rows[-1][:2] == ["vbpr", "2 splits"]
    assert [len(row) for row in tables["a MTMT"]] == [2, 3]  # the one row, alike in what its means are over
    assert "t splits" not in tables["a FTMT Recall@20, against milk [1], on 1 split"][0]
    assert len(tables["a FTMT Recall@20, against milk [1], on 1 split"]) == 1 + 10


def test_long_labels_are_numbered_in_the_order_they_are_shown_and_told_in_full(folder):
    tables = _tables(ask("--runs", folder))
    shown = [row[0] for row in tables["a FTMT"][1:] if "[" in row[0]]
    assert shown == [f"milk [{at}]" for at in range(1, len(shown) + 1)]
    assert tables["labels in full"][0] == ["label"]
    assert tables["labels in full"][1] == ["milk [1]", "milk (lam=9, beta=1, alpha=4)"]


def test_what_is_to_be_said_is_said_once_and_how_to_choose(folder):
    said = ask("--runs", folder).stderr
    assert len(said.splitlines()) <= 10
    assert "† vbpr on a.duckdb ftmt: with ftmt-1 besides" in said
    assert "17 runs in 15 rows. To choose: --run NAME" in said
    assert "The best 10 rows of tests are shown, of up to 14: --rows 0 shows all." in said
    assert "says nothing of other items" in said
    assert "To choose" not in ask("--runs", folder, "--run", "ftmt-0").stderr


def test_how_many_rows_is_asked_for(folder):
    tables = _tables(ask("--runs", folder, "--rows", 3, "--metric", METRIC))
    assert [len(rows) for title, rows in tables.items() if title.startswith("a FTMT")] == [4, 4]
    assert len(_tables(ask("--runs", folder, "--rows", 0))["a FTMT Recall@20, against milk [1], on 1 split"]) == 1 + 14


def test_notes_of_many_rows_are_one_note(tmp_path):
    runs = [labelled(f"row {at}", _write(tmp_path, 0.1, model=f"m{at}", split=split)) for at in range(9) for split in ("ftmt-0", "ftmt-1")]
    late = [labelled(f"late {at}", _write(tmp_path, 0.1, model=f"l{at}", profile="test-only")) for at in range(8)]
    again = [labelled(f"row {at}", _write(tmp_path, 0.1, model=f"m{at}", finished_at="2021")) for at in range(9)]
    more = [labelled(f"row {at}", _write(tmp_path, 0.1, model=f"m{at}", seed=1)) for at in range(9)]
    lacking = [
        labelled(f"bare {at}", write(tmp_path, {METRIC: [0.5] * 3}, model=f"b{at}", split=split)) for at in range(7) for split in ("ftmt-0", "ftmt-1")
    ]
    said = comparison.compare([*runs, *late, *again, *more, *lacking], metrics=[METRIC, OTHER], resamples=0).remarks
    assert "9 rows on a.duckdb ftmt: 9 runs are there again from before; of each the one finished last counts." in said
    assert "† 8 rows on a.duckdb ftmt: without ftmt-1, so that the mean is over other items than the others'." in said
    assert "† 8 rows on a.duckdb ftmt were judged by the profile test-only, the others by milk." in said
    assert "9 rows on a.duckdb ftmt have more training seeds on some splits than on others." in said
    assert "7 rows on a.duckdb ftmt have runs that did not measure ndcg@20: their cells are empty." in said
    assert len(said) == 6  # and the seeds


def test_few_rows_are_told_by_their_names_and_need_no_advice(tmp_path):
    placed = (*((label, "ftmt-0") for label in "abc"), ("a", "ftmt-1"))
    runs = [labelled(label, _write(tmp_path, 0.5, model=label, split=split)) for label, split in placed]
    found = comparison.compare(runs, metrics=[METRIC], resamples=0)
    assert found.remarks == ("† a on a.duckdb ftmt: with ftmt-1 besides, so that the mean is over other items than the others'.",)
    assert terminal.how_to_choose(found, n_runs=4) == []
    shown = terminal.show(found)
    assert [title for title, _ in shown.tables] == ["a FTMT", "a FTMT Recall@20, against b, on 1 split"]
    assert "low" not in shown.tables[1][1].columns


def test_rows_in_an_order_that_was_asked_for_are_not_called_the_best(tmp_path):
    found = comparison.compare(
        [labelled(label, _write(tmp_path, 0.1 * at, model=label)) for at, label in enumerate("abcd")], metrics=[METRIC], resamples=0
    )
    shown = terminal.show(found, order=["a", "b", "c", "d"], most=2)
    assert shown.tables[0][1][""].to_list() == ["a", "b"]
    assert "The first 2 rows of means are shown, of up to 4: --rows 0 shows all." in shown.notes
    assert "The best 2 rows of means are shown, of up to 4: --rows 0 shows all." in terminal.show(found, most=2).notes
