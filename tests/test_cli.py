"""The command line as a user meets it: every example of the help runs, every mistake is answered in one line."""

import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from cli_mistakes import MISTAKES
from typer.testing import CliRunner

import cli
import schemas
from milkprep import demo_catalogue
from schemas.store import Store

ROOT = Path(cli.__file__).parent
GROUP = typer.main.get_command(cli.app)


def run(*arguments, expect=0):
    """Run a command in this process; stdout and stderr apart."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == expect, f"exit code {result.exit_code}\n{result.stdout}\n{result.stderr}\n{result.exception!r}"
    return result


def example_of(*words):
    """The example that a command's help ends with, as arguments."""
    command = GROUP
    for word in words:
        command = command.commands[word]
    line = command.epilog.removeprefix("Example: python cli.py ")
    assert line != command.epilog
    return shlex.split(line)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the files that the examples name: a small raw catalogue and a small prepared one."""
    folder = tmp_path_factory.mktemp("workplace")
    catalogue = demo_catalogue.write(folder / "catalogue", n_users=100, n_items=100)
    (folder / "meta.json.gz").write_bytes(catalogue.metadata.read_bytes())
    (folder / "reviews.json.gz").write_bytes(catalogue.reviews.read_bytes())
    generator = np.random.default_rng(0)
    pairs = sorted({(int(u), int(i)) for u, i in zip(generator.integers(30, size=600), generator.integers(60, size=600), strict=True)})
    (folder / "tiktok.inter").write_text("userID\titemID\tx_label\n" + "".join(f"{u}\t{i}\t0\n" for u, i in pairs))
    (folder / "own_catalogue.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    (folder / "final_track2_train.txt").write_text("".join(f"{u}\t1\t{i}\t1\t1\t0\t1\t0\t-1\t1\t9\t9\n" for u, i in pairs))
    (folder / "track2_title.txt").write_text(
        "".join(f'{{"item_id": {i}, "title_features": {{"{i % 7}": 1, "{i % 3 + 7}": 1}}}}\n' for i in range(60))
    )
    shutil.copytree(ROOT / "examples" / "own_catalogue", folder / "own_catalogue")
    (folder / "microlens").mkdir()
    (folder / "microlens" / "tiny_pairs.csv").write_text("user,item,timestamp\n1,7,1583378629552\n2,8,1583378630000\n")
    (folder / "microlens" / "tiny_titles.csv").write_text("7,A cat, a dog\n8,Rain\n")
    (folder / "plan.toml").write_text('title = "Tiny"\nsettings = ["ftmt"]\nseeds = 1\n[[row]]\nname = "floor"\nmodel = "popularity"\n')
    np.save(folder / "image_feat.npy", generator.normal(size=(60, 8)).astype("float16"))
    return folder


def test_the_examples_of_the_help_run_in_the_order_of_the_work(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    order = [
        ("pull", "amazon"),
        ("pull", "prepared"),
        ("pull", "tiktok"),
        ("pull", "folder"),
        ("pull", "microlens"),
        ("fetch-media",),
        ("encoders",),
        ("extract",),
        ("merge-shards",),
        ("feature-sets",),
        ("build-splits",),
        ("coverage",),
        ("export",),
        ("train",),
        ("models",),
        ("runs",),
        ("evaluate",),
        ("recommend",),
        ("similar",),
        ("compare",),
        ("report",),
        ("sweep",),
        ("experiment",),
        ("reproduce",),
        ("status",),
        ("check",),
        ("sql",),
    ]
    missing = {(name,) for name in GROUP.commands} - {words[:1] for words in order} - {("demo",)}
    assert not missing, f"commands without a place here: {missing}"
    for words in order:
        if words == ("merge-shards",):
            for shard in ("1/2", "2/2"):
                run("extract", "--modality", "text", "--encoder", "hashed-ngrams", "--shards", shard, "--store", "gifts.duckdb")
        run(*example_of(*words))
    assert len(list((workplace / "runs").glob("ftmt-0-milk-published-*"))) == 1
    with Store(workplace / "gifts.duckdb", mode="read") as store:
        assert store.query("SELECT count(*) AS n FROM features_text").item() > 40


def test_the_demo_finds_the_tastes_it_planted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(*example_of("demo"))
    result = run(*example_of("demo"))  # a second time finds everything there
    assert "generated, not real" in result.stderr
    assert result.stderr.count("python cli.py sql") == 3
    with Store(tmp_path / "demo" / "demo.duckdb", mode="read") as store:
        assert all(frame.is_empty() for frame in store.violations().values())
    found = json.loads(run("runs", "--runs", tmp_path / "demo" / "runs", "--json").stdout)
    recall = {row["model"]: row["test_recall_20"] for row in found}
    assert recall["milk"] > 2 * recall["random-order"]
    assert recall["milk"] > 2 * recall["popularity"]


@pytest.fixture(scope="module")
def ready(workplace, tmp_path_factory):
    """A store with vectors and a split."""
    store = tmp_path_factory.mktemp("ready") / "ready.duckdb"
    run("pull", "prepared", "--interactions", workplace / "tiktok.inter", "--features", f"visual={workplace / 'image_feat.npy'}", "--store", store)
    run("build-splits", "--setting", "ftft", "--store", store)
    return store


def test_json_is_the_only_thing_on_stdout(ready):
    for command in (
        ["status", "--store", ready, "--json"],
        ["check", "--store", ready, "--json"],
        ["build-splits", "--setting", "ftmt", "--store", ready, "--json"],
        ["export", "--split", "ftft-0", "--out", ready.parent / "exported", "--store", ready, "--json"],
        ["train", "--split", "ftft-0", "--store", ready, "--json", "--set", "max_epochs=2"],
        ["evaluate", "--run", "ftft-0-milk", "--store", ready, "--json"],
        ["recommend", "--run", "ftft-0-milk", "--user", "3", "--store", ready, "--json"],
        ["similar", "--run", "ftft-0-milk", "--item", "7", "--store", ready, "--json"],
    ):
        assert isinstance(json.loads(run(*command).stdout), dict)


def test_a_split_of_one_modality_says_that_nothing_can_be_lost_and_training_that_it_is_not_milk(ready):
    said = run("build-splits", "--setting", "mtmt", "--store", ready).stderr
    assert "none can lose one" in said
    said = run("train", "--split", "mtmt-0", "--store", ready, "--set", "max_epochs=2").stderr
    assert "alignment and invariance have nothing to act on" in said
    assert "12 candidates" in said
    assert "finds 1.0000 of what is relevant" in said
    assert "--set max_epochs=4 may find better" in said
    assert "replaces the same run" not in said
    assert "replaces the same run" in run("train", "--split", "mtmt-0", "--store", ready, "--set", "max_epochs=2").stderr


def test_train_says_what_was_ranked_masked_and_left_out(ready):
    said = run("train", "--split", "ftft-0", "--store", ready, "--model", "random-order", "--profile", "all-items", "--eval-memory", "1", "--groups")
    assert "user_interactions" in said.stdout
    said = said.stderr
    assert "all items of the split" in said
    assert "Masked: the user's training items" in said
    assert "Ties: random order of ids, seed" in said
    assert "users without are left out" in said


def test_train_reports_what_a_program_needs(ready):
    found = json.loads(run("train", "--split", "ftft-0", "--store", ready, "--json", "--set", "max_epochs=2").stdout)
    assert {"run_id", "split", "preset", "epochs", "best_epoch", "seconds_per_epoch", "validation", "test"} <= set(found)
    for part in ("validation", "test"):
        assert {"recall@10", "recall@20", "ndcg@10", "ndcg@20"} <= set(found[part])


def test_train_repeats_over_seeds_and_tells_mean_and_standard_deviation(ready):
    arguments = ("train", "--split", "ftft-*", "--store", ready, "--seeds", "2", "--set", "max_epochs=2")
    found = json.loads(run(*arguments, "--json").stdout)
    assert (found["over"], found["n"], [each["seed"] for each in found["runs"]]) == ("seeds", 2, [0, 1])
    values = [each["test"]["ndcg@10"] for each in found["runs"]]
    assert found["test"]["mean"]["ndcg@10"] == pytest.approx(sum(values) / 2)
    assert found["test"]["sd"]["ndcg@10"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    told = run(*arguments)
    assert re.search(r"^ *sd +", told.stdout, re.MULTILINE)
    assert "divisor n - 1) over n = 2 seeds" in told.stderr
    assert "2 of 2 runs had been finished before" in told.stderr


def test_a_small_number_is_shown_as_one_and_not_as_nothing(ready):
    said = run("sql", "SELECT 2.8e-05 AS reg, -4e-4 AS change, 1.23456e-2 AS recall, 0e0 AS none", "--store", ready).stdout
    assert said.split()[-4:] == ["2.8e-05", "-0.0004", "0.0123", "0.0000"]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_sql_answers_in_formats_for_programs(ready, tmp_path, form):
    out = tmp_path / f"answer.{form}"
    run("sql", "SELECT item_idx, item_key FROM items ORDER BY item_idx LIMIT 3", "--store", ready, "--format", form, "--out", out)
    read = {"csv": pl.read_csv, "json": pl.read_json, "parquet": pl.read_parquet}[form]
    assert read(out)["item_idx"].to_list() == [0, 1, 2]


def test_sql_may_start_with_a_comment(ready):
    assert run("sql", "-- how many = all\nSELECT 6 * 7 AS n", "--store", ready, "--format", "csv").stdout == "n\n42\n"
    run("sql", "SELECT 1", "--formt", "csv", "--store", ready, expect=2)


def test_sql_knows_the_runs(ready):
    run("train", "--split", "ftft-0", "--store", ready, "--model", "popularity")
    found = run("sql", "SELECT model FROM runs WHERE model = 'popularity'", "--store", ready, "--format", "csv").stdout
    assert found.splitlines() == ["model", "popularity"]


def _truncated(folder: Path) -> Path:
    file = folder / "cut.json.gz"
    file.write_bytes(gzip.compress(b'{"reviewerID": "a", "asin": "b", "overall": 5.0, "unixReviewTime": 1}\n' * 20_000)[:-200])
    return file


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_in_words_and_leaves_nothing_behind(mistake, workplace, ready, tmp_path, monkeypatch):
    arguments, code, words = MISTAKES[mistake]
    _truncated(workplace)
    monkeypatch.chdir(tmp_path)
    before = ready.read_bytes()
    result = run(*(str(a).replace("WORK", str(workplace)).replace("READY", str(ready)) for a in arguments), expect=code)
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.stderr).split())
    assert words in said
    assert "Traceback" not in said
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
    assert ready.read_bytes() == before


def test_a_store_held_by_another_process_is_named_with_its_holder(ready):
    hold = "import sys; from schemas.store import Store; s = Store(sys.argv[1], mode='write'); print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", hold, ready], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        result = run("status", "--store", ready, expect=1)
        assert f"held by another process (process {holder.pid})" in result.stderr
    finally:
        holder.communicate("\n")


def test_version_is_that_of_the_package():
    assert run("--version").stdout.strip() == schemas.__version__
