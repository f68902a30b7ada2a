"""What every export format promises; a new file in `exporters/` without a reader in `export_readers` fails here."""

import json
from pathlib import Path

import numpy as np
import planted
import pytest
from export_readers import READERS

from milkprep import splits
from milkprep.export import exporting
from schemas import fingerprint, plugins
from schemas.contracts import Modality, Setting
from schemas.reporting import Silent
from schemas.store import Store

FORMATS = plugins.names("milkprep.exporters")
NAMED = "split_items JOIN items USING (item_idx)"


def query(store: Path, sql: str) -> list[tuple[object, ...]]:
    with Store(store, mode="read") as opened:
        return opened.query(sql).rows()


def build(place: Path, *, setting: str = "mtmt", **options) -> Path:
    """A store of three modalities with a split."""
    store = planted.fill(place / "s.duckdb", n_users=12, n_items=40, n_themes=2, per_user=8, **options)
    splits.build(store, setting=Setting(setting), seed=3, cold_fraction=0.4, train_loss=0.4)
    return store


def export(store: Path, form: str, out: Path, *, split: str = "mtmt-3", **options) -> exporting.ExportReport:
    return exporting.export(store, format_name=form, split=split, out=out, reporter=Silent(), **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_format_has_a_reader():
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("setting", list(Setting))
def test_what_is_read_back_is_what_the_split_holds(form, setting, tmp_path):
    store = build(tmp_path, setting=setting)
    export(store, form, tmp_path / "out", split=f"{setting}-3")
    told = READERS[form](tmp_path / "out", setting=setting)
    sql = f"SELECT part, user_key, item_key FROM {NAMED} JOIN interactions USING (item_idx) JOIN users USING (user_idx)"
    assert {(part, *pair) for part, pairs in told.pairs.items() for pair in pairs} == set(query(store, sql))
    assert told.new_items == {key for (key,) in query(store, f"SELECT item_key FROM {NAMED} WHERE part <> 'train'")}
    for modality in Modality:
        kept = query(
            store,
            f"SELECT item_key, part, NOT lost, vector FROM features_{modality} JOIN split_items USING (item_idx) "
            f"JOIN split_availability USING (item_idx) WHERE modality = '{modality}'",
        )
        mean = np.mean([vector for _, part, left, vector in kept if left and part == "train"], axis=0)
        for key, _, left, vector in kept:
            assert told.features[modality][key] == pytest.approx(tuple(vector if left else mean), rel=0 if left else 1e-6, abs=0 if left else 1e-6)


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_do_not_depend_on_the_order_of_rows_nor_on_where_the_store_lies(form, tmp_path):
    for name, order in (("a", None), ("b", np.random.default_rng(1).permutation(40))):
        (tmp_path / name).mkdir()
        export(build(tmp_path / name, order=order), form, tmp_path / name / "out")
    first, second = (contents(tmp_path / name / "out") for name in "ab")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.parametrize("form", FORMATS)
def test_plain_files_only_and_each_is_recorded_with_its_digest(form, tmp_path):
    report = export(build(tmp_path), form, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    found = sorted(path for path in (tmp_path / "out").iterdir() if path.name != "export.json")
    assert all(path.is_file() and not path.is_symlink() for path in found)
    assert {path.name: {"bytes": path.stat().st_size, "sha256": fingerprint.of_file(path)} for path in found} == record["files"]
    assert dict(report.files) == {name: about["bytes"] for name, about in record["files"].items()}
    assert [path.name for path in found if path.read_bytes()[:1] == b"\x80" or b"|O" in path.read_bytes()[:128]] == []
    assert (record["format"], record["split"], record["setting"]) == (form, "mtmt-3", "mtmt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "s.duckdb"]


@pytest.mark.parametrize("form", FORMATS)
def test_what_new_items_have_never_stands_in_for_what_training_items_lack(form, tmp_path):
    store = build(tmp_path)
    export(store, form, tmp_path / "before")
    new = {key for (key,) in query(store, f"SELECT item_key FROM {NAMED} WHERE part <> 'train'")}
    with Store(store, mode="update") as opened:  # a planted leak would show: new items' vectors become enormous
        for number, modality in opened.query("SELECT feature_set_id, modality FROM feature_sets").rows():
            opened.run(
                f"UPDATE vectors_{number} SET vector = list_transform(vector, lambda x: x * 1e6)::FLOAT[{planted.WIDTH}] "
                f"WHERE content_sha256 IN (SELECT '{modality}-' || item_idx FROM split_items WHERE part <> 'train')"
            )
    export(store, form, tmp_path / "after")
    before, after = (READERS[form](tmp_path / name, setting="mtmt").features for name in ("before", "after"))
    for modality in Modality:
        sql = f"SELECT item_key FROM split_availability JOIN items USING (item_idx) WHERE lost AND modality = '{modality}'"
        lost = {key for (key,) in query(store, sql)}
        assert lost
        same = {key for key in before[modality] if before[modality][key] == after[modality][key]}
        assert same == (before[modality].keys() - new) | lost


@pytest.mark.parametrize("form", FORMATS)
def test_chunks_and_batches_of_one_row_give_the_same_bytes(form, tmp_path, monkeypatch):
    store = build(tmp_path)
    export(store, form, tmp_path / "whole")
    for name in ("milkprep.export.arrays.CHUNK_BYTES", "milkprep.export.content.BATCH_BYTES"):
        monkeypatch.setattr(name, 1)
    export(store, form, tmp_path / "rows")
    assert contents(tmp_path / "whole") == contents(tmp_path / "rows")
