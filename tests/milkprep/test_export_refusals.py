"""What an export refuses, and that a folder is there completely, as it was, or not at all."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import planted
import polars as pl
import pytest

from milkprep import splits
from milkprep.export import exporting, folder
from milkprep.exporters import milk
from schemas.contracts import Modality, Setting
from schemas.errors import BadValue, FeatureMissing, SplitMissing, Stale, UnknownName
from schemas.reporting import Silent
from schemas.store import Store


@pytest.fixture
def store(tmp_path) -> Path:
    """Two modalities, a split."""
    path = planted.fill(tmp_path / "s.duckdb", n_users=8, n_items=20, n_themes=2, per_user=6, modalities=(Modality.VISUAL, Modality.AUDIO))
    splits.build(path, setting=Setting.FTMT, seed=0, cold_fraction=0.4)
    return path


def export(store: Path, out: Path, *, split: str = "ftmt-0", form: str = "milk", **options) -> exporting.ExportReport:
    return exporting.export(store, format_name=form, split=split, out=out, reporter=Silent(), **options)


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


MISTAKES = {
    "an unknown split": ({"split": "ftmt-9"}, SplitMissing, "has no split 'ftmt-9'. It has: ftmt-0"),
    "an unknown format": ({"form": "milc"}, UnknownName, "Did you mean 'milk'"),
    "a modality without vectors": ({"modalities": [Modality.TEXT]}, FeatureMissing, "text has no feature set"),
    "a name for what is not written": ({"rename": {Modality.TEXT: Modality.AUDIO}}, BadValue, "names text, which is not exported"),
    "one name for two": ({"rename": {Modality.AUDIO: Modality.VISUAL}}, BadValue, "visual and audio would both be called visual"),
    "a folder in no folder": ({"out": "no/out"}, BadValue, "lies in no folder"),
    "a file": ({"out": "s.duckdb"}, BadValue, "is a file"),
    "the folder of the store": ({"out": ".", "replace": True}, BadValue, "holds s.duckdb, which no export wrote"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_and_leaves_nothing_behind(mistake, store, tmp_path):
    options, error, words = MISTAKES[mistake]
    before = contents(tmp_path)
    with pytest.raises(error, match=words.replace(".", r"\.").replace("?", r"\?")):
        export(store, **{**options, "out": tmp_path / options.get("out", "out")})
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.duckdb"]


def test_a_store_without_vectors_says_how_to_make_some(tmp_path):
    path = planted.fill(tmp_path / "s.duckdb", n_users=8, n_items=20, n_themes=2, per_user=6, modalities=())
    items = pl.DataFrame({"item_idx": range(20), "part": ["train", "val"] * 9 + ["test"] * 2}, schema_overrides={"item_idx": pl.Int32})
    cells = pl.DataFrame(schema={"item_idx": pl.Int32, "modality": pl.String, "present": pl.Boolean, "lost": pl.Boolean})
    with Store(path, mode="update") as opened, opened.transaction():
        splits.write_inside(opened, "said", setting=Setting.FTFT, parameters={}, items=items, availability=cells)
    with pytest.raises(FeatureMissing, match=r"has no feature set. Run `python cli.py extract --modality text"):
        export(path, tmp_path / "out", split="said")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE pulls SET catalogue_fingerprint = 'another'", "The catalogue of"),
        ("DELETE FROM feature_rows WHERE item_idx = 0", "Modality availability of"),
    ],
    ids=["another catalogue", "another availability"],
)
def test_a_split_that_no_longer_agrees_with_the_store_is_refused(change, words, store, tmp_path):
    with Store(store, mode="update") as opened:
        opened.run(change)
    with pytest.raises(Stale, match=f"{words}.*build-splits --replace"):
        export(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_refused_and_an_export_is_replaced_only_when_told(store, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    first = export(store, out)  # an empty folder is as good as none
    whole = contents(out)
    with pytest.raises(BadValue, match=r"holds an export already\. Give --replace"):
        export(store, out)
    assert contents(out) == whole
    assert export(store, out, replace=True) == first
    assert contents(out) == whole
    export(store, out, replace=True, modalities=[Modality.VISUAL])
    assert "audio_feat.npy" not in contents(out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(BadValue, match=r"holds notes\.txt, which no export wrote and which would be lost"):
        export(store, out, replace=True)
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("record", ["", "[]", '{"files": 3}', '{"files": {}}'], ids=["empty", "a list", "a number", "no file"])
def test_a_record_that_does_not_name_the_files_lets_none_of_them_be_lost(record, store, tmp_path):
    export(store, tmp_path / "out")
    (tmp_path / "out" / folder.RECORD).write_text(record)
    with pytest.raises(BadValue, match="which no export wrote"):
        export(store, tmp_path / "out", replace=True)


def test_an_export_behind_a_link_is_replaced_and_the_link_stays(store, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export(store, tmp_path / "link")
    export(store, tmp_path / "link", replace=True)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real").keys() == contents(tmp_path / "link").keys() > {"train.txt"}


@pytest.mark.parametrize("there", [False, True], ids=["new", "in place of another"])
def test_an_error_in_the_middle_leaves_what_was_there(there, store, tmp_path, monkeypatch):
    out = tmp_path / "out"
    if there:
        export(store, out)
    before = contents(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(milk, "_write_indices", full)
    with pytest.raises(OSError, match="No space left"):
        export(store, out, replace=True)
    assert contents(tmp_path) == before
    assert out.exists() == there


def test_killed_in_the_middle_nothing_bears_the_folders_name(store, tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from milkprep.export import exporting; from milkprep.exporters import milk\n"
        "from schemas.reporting import Silent\n"
        "milk._write_indices = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "exporting.export(Path(sys.argv[1]), format_name='milk', split='ftmt-0', out=Path(sys.argv[2]), reporter=Silent())"
    )
    done = subprocess.run([sys.executable, "-c", code, store, tmp_path / "out"], cwd=Path(exporting.__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    (left,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert left.name.startswith(".out.")
    shutil.rmtree(left)
    export(store, tmp_path / "out")
    assert json.loads((tmp_path / "out" / folder.RECORD).read_text())["split"] == "ftmt-0"


def test_the_notes_say_what_the_authors_code_lacks_and_what_to_do(store, tmp_path):
    assert any("there is no text here" in note and "--rename MODALITY=text" in note for note in export(store, tmp_path / "a").notes)
    renamed = export(store, tmp_path / "b", rename={Modality.AUDIO: Modality.TEXT})
    assert renamed.notes[0] == "The authors' code takes this as --exp_mode fm."
    assert not any("there is no" in note for note in renamed.notes)
    assert contents(tmp_path / "a")["audio_feat.npy"] == contents(tmp_path / "b")["text_feat.npy"]
    features = json.loads(contents(tmp_path / "b")[folder.RECORD])["features"]
    assert (features["text"]["modality"], features["visual"]["modality"]) == ("audio", "visual")
