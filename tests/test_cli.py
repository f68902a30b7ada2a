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
        ("train",),
        ("runs",),
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
    assert len(list((workplace / "runs").iterdir())) == 1
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
        ["train", "--split", "ftft-0", "--store", ready, "--json", "--set", "max_epochs=2"],
    ):
        assert isinstance(json.loads(run(*command).stdout), dict)


def test_a_split_of_one_modality_says_that_nothing_can_be_lost_and_training_that_it_is_not_milk(ready):
    said = run("build-splits", "--setting", "mtmt", "--store", ready).stderr
    assert "none can lose one" in said
    said = run("train", "--split", "mtmt-0", "--store", ready, "--set", "max_epochs=2").stderr
    assert "alignment and invariance have nothing to act on" in said
    assert "12 candidates" in said
    assert "finds 1.0000 of what is relevant" in said
    assert "replaces the same run" not in said
    assert "replaces the same run" in run("train", "--split", "mtmt-0", "--store", ready, "--set", "max_epochs=2").stderr


def test_train_reports_what_a_program_needs(ready):
    found = json.loads(run("train", "--split", "ftft-0", "--store", ready, "--json", "--set", "max_epochs=2").stdout)
    assert {"run_id", "split", "preset", "epochs", "best_epoch", "seconds_per_epoch", "validation", "test"} <= set(found)
    for part in ("validation", "test"):
        assert {"recall@10", "recall@20", "ndcg@10", "ndcg@20"} <= set(found[part])


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_sql_answers_in_formats_for_programs(ready, tmp_path, form):
    out = tmp_path / f"answer.{form}"
    run("sql", "SELECT item_idx, item_key FROM items ORDER BY item_idx LIMIT 3", "--store", ready, "--format", form, "--out", out)
    read = {"csv": pl.read_csv, "json": pl.read_json, "parquet": pl.read_parquet}[form]
    assert read(out)["item_idx"].to_list() == [0, 1, 2]


def test_sql_knows_the_runs(ready):
    run("train", "--split", "ftft-0", "--store", ready, "--model", "popularity")
    found = run("sql", "SELECT model FROM runs WHERE model = 'popularity'", "--store", ready, "--format", "csv").stdout
    assert found.splitlines() == ["model", "popularity"]


def _truncated(folder: Path) -> Path:
    file = folder / "cut.json.gz"
    file.write_bytes(gzip.compress(b'{"reviewerID": "a", "asin": "b", "overall": 5.0, "unixReviewTime": 1}\n' * 20_000)[:-200])
    return file


MISTAKES = {
    "a shard that is none": (["extract", "--modality", "text", "--shards", "3/2", "--store", "READY"], 2, "write N/M with N from 1 to M"),
    "a shard to be shown": (["extract", "--modality", "text", "--shards", "1/2", "--as-default", "--store", "READY"], 2, "Give it to"),
    "a folder of no shards": (["extract", "--modality", "text", "--out", "x", "--store", "READY"], 2, "--shards N/M"),
    "a shard of imported vectors": (
        ["extract", "--modality", "visual", "--encoder", "imported", "--shards", "1/2", "--store", "READY"],
        2,
        "nothing to share",
    ),
    "shards that are nowhere": (["merge-shards", "nowhere", "--store", "READY"], 1, "There is no folder nowhere"),
    "shards that are none": (["merge-shards", "WORK/own_catalogue", "--store", "READY"], 1, "There is no shard in"),
    "a choice between texts": (["extract", "--modality", "text", "--several", "first", "--store", "READY"], 2, "means nothing to text"),
    "the first of several in shards": (
        ["extract", "--modality", "visual", "--several", "first", "--shards", "1/2", "--store", "READY"],
        2,
        "Leave --shards out",
    ),
    "no command of that name": (["extrakt"], 2, "No such command"),
    "no flag of that name": (["train", "--split", "x", "--presett", "default"], 2, "No such option"),
    "a setting that is none": (["train", "--split", "ftft-0", "--store", "READY", "--set", "betta=3"], 2, "betta"),
    "an unknown preset": (["train", "--split", "ftft-0", "--store", "READY", "--preset", "publisht"], 2, "Did you mean 'published'"),
    "an unknown model": (["train", "--split", "ftft-0", "--store", "READY", "--model", "milc"], 2, "Did you mean 'milk'"),
    "an unknown modality": (["train", "--split", "ftft-0", "--store", "READY", "--modalities", "smell"], 2, "smell"),
    "an unknown split": (["train", "--split", "mtmt-9", "--store", "READY"], 1, "It has: ftft-0"),
    "a modality without vectors": (["train", "--split", "ftft-0", "--store", "READY", "--modalities", "audio"], 1, "extract --modality audio"),
    "no store": (["status", "--store", "nowhere.duckdb"], 1, "There is no store at nowhere.duckdb"),
    "a store in no folder": (["pull", "prepared", "--interactions", "WORK/tiktok.inter", "--store", "nowhere/x.duckdb"], 1, "does not exist"),
    "a file that is no store": (["status", "--store", "WORK/meta.json.gz"], 1, "is not a store"),
    "SQL that is none": (["sql", "SELEC 1", "--store", "READY"], 1, "DuckDB refused"),
    "a list as CSV": (["sql", "SELECT categories FROM items", "--store", "READY", "--format", "csv"], 1, "csv cannot hold"),
    "a mistyped store": (["build-splits", "--setting", "ftft", "--store", "typo.duckdb"], 1, "There is no store at typo.duckdb"),
    "a split named like a path": (["build-splits", "--setting", "ftft", "--name", "../x", "--store", "READY"], 2, "cannot name a split"),
    "a store that is a table": (["pull", "prepared", "--interactions", "WORK/tiktok.inter", "--store", "WORK/rows.csv"], 1, "is not a store"),
    "an answer over its own store": (["sql", "SELECT 1", "--format", "json", "--store", "READY", "--out", "READY"], 2, "is the store itself"),
    "an answer into no folder": (["sql", "SELECT 1", "--format", "json", "--store", "READY", "--out", "no/x.json"], 2, "lies in no folder"),
    "a time without end": (["sql", "SELECT TIMESTAMP 'infinity' AS t", "--store", "READY"], 1, "cannot be shown"),
    "a blob as JSON": (["sql", "SELECT 'x'::BLOB AS b", "--store", "READY", "--format", "json"], 1, "json cannot hold"),
    "a width beyond all memory": (["train", "--split", "ftft-0", "--store", "READY", "--set", "dim=100000000"], 2, "dim"),
    "runs that are nowhere": (["runs", "--runs", "nowhere"], 2, "no folder of runs at nowhere"),
    "no cut-offs": (["train", "--split", "ftft-0", "--store", "READY", "--set", "cutoffs=[]"], 2, "cutoffs"),
    "SQL that writes": (["sql", "DROP TABLE items", "--store", "READY"], 1, "Only one SELECT"),
    "SQL that reads another file": (["sql", "SELECT * FROM read_text('/etc/hostname')", "--store", "READY"], 1, "disabled by configuration"),
    "a role that is none": (["pull", "folder", "WORK/own_catalogue", "--columns", "colour=x"], 2, "There are: user, item"),
    "a column that is not there": (["pull", "folder", "WORK/own_catalogue", "--columns", "user=client"], 2, "has user, item, rating, timestamp"),
    "a folder without interactions": (["pull", "folder", "WORK/own_catalogue/images"], 2, "holds no interactions.csv"),
    "an archive for a folder": (["pull", "folder", "WORK/own_catalogue.zip"], 2, "Unpack it first"),
    "a folder that is none of MicroLens": (["pull", "microlens", "WORK/own_catalogue"], 2, "Name it with --pairs"),
    "a features flag without a modality": (["pull", "prepared", "--interactions", "WORK/tiktok.inter", "--features", "x.npy"], 2, "MODALITY=FILE"),
    "a features flag without its =": (
        ["pull", "prepared", "--interactions", "WORK/tiktok.inter", "--features", "audio", "audio_feat.npy"],
        2,
        "Write --features audio=audio_feat.npy",
    ),
    "a file for a folder": (["pull", "prepared", "WORK/tiktok.inter"], 2, "is a file. Name a folder, or files by flags"),
    "a layout of a file": (["pull", "prepared", "--interactions", "WORK/tiktok.inter", "--layout", "milk"], 2, "are of folders"),
    "a folder and files": (["pull", "prepared", "WORK", "--interactions", "WORK/tiktok.inter"], 2, "Name the folder, or the files"),
    "neither folder nor files": (["pull", "prepared"], 2, "Name a folder of a prepared dataset"),
    "a file that is not there": (["pull", "prepared", "--interactions", "nowhere.inter"], 2, "nowhere.inter"),
    "a file of wrong columns": (["pull", "prepared", "--interactions", "WORK/cut.json.gz"], 1, "cut.json.gz"),
    "no views": (["pull", "tiktok", "--interactions", "WORK/rows.csv"], 1, "Needed are 12 whole numbers separated by tabs"),
    "titles that are none": (
        ["pull", "tiktok", "--interactions", "WORK/final_track2_train.txt", "--titles", "WORK/rows.csv"],
        1,
        "another kind of file than --titles reads",
    ),
    "neither finished nor liked": (["pull", "tiktok", "--interactions", "WORK/final_track2_train.txt", "--positive", "share"], 2, "share"),
    "a truncated gzip": (["pull", "amazon", "--metadata", "WORK/meta.json.gz", "--reviews", "WORK/cut.json.gz"], 1, "cut short"),
    "swapped files": (["pull", "amazon", "--metadata", "WORK/reviews.json.gz", "--reviews", "WORK/meta.json.gz"], 1, "may be swapped"),
    "a wrong release": (
        ["pull", "amazon", "--release", "2014", "--metadata", "WORK/meta.json.gz", "--reviews", "WORK/reviews.json.gz"],
        1,
        "Say --release 2018",
    ),
    "no reviews": (["pull", "amazon", "--metadata", "WORK/meta.json.gz"], 2, "Name the reviews file with --reviews"),
    "a category of no release": (["pull", "amazon", "--category", "Toys"], 2, "Say which with --release: 2014, 2018, 2023"),
    "a category like a path": (["pull", "amazon", "--release", "2014", "--category", "../x"], 2, "names no category"),
    "an unknown release": (
        ["pull", "amazon", "--release", "1999", "--metadata", "WORK/meta.json.gz", "--reviews", "WORK/reviews.json.gz"],
        2,
        "1999",
    ),
    "texts by address": (["fetch-media", "--modality", "text", "--store", "READY"], 2, "Texts have no addresses"),
    "nobody to fetch": (["fetch-media", "--modality", "visual", "--concurrency", "0", "--store", "READY"], 2, "--concurrency 0"),
    "an unknown encoder": (["extract", "--modality", "text", "--encoder", "hashed-ngram", "--store", "READY"], 2, "hashed-ngrams"),
    "an encoder of another modality": (["extract", "--modality", "text", "--encoder", "log-mel", "--store", "READY"], 2, "audio"),
    "a feature set that is not there": (
        ["feature-sets", "--use", "9", "--store", "READY"],
        1,
        "has no feature set 9. It has: 1 (visual by imported)",
    ),
    "removing what is not there": (["feature-sets", "--remove", "9", "--yes", "--store", "READY"], 1, "has no feature set 9"),
    "removing with nobody to ask": (["feature-sets", "--remove", "1", "--store", "READY"], 2, "Give --yes"),
    "two changes at once": (["feature-sets", "--remove", "1", "--use", "1", "--store", "READY"], 2, "one after the other"),
    "coverage of a split that is not there": (["coverage", "--split", "mtmt-9", "--store", "READY"], 1, "It has: ftft-0"),
    "a picture that is no PNG": (["coverage", "--png", "a.jpg", "--store", "READY"], 2, "ends in .png"),
    "a picture into no folder": (["coverage", "--png", "no/a.png", "--store", "READY"], 2, "lies in no folder"),
    "coverage of nothing": (["coverage", "--png", "a.png", "--store", "nowhere.duckdb"], 1, "There is no store at nowhere.duckdb"),
    "a share above one": (["build-splits", "--setting", "ftmt", "--test-loss", "1.5", "--store", "READY"], 2, "--test-loss 1.5"),
}


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
