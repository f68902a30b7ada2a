"""Extraction in a store whose vectors came ready-made: what was imported is no file to read, and is never lost."""

import pytest
from media_samples import write_picture
from raw_files import pull_prepared, table, write_vectors
from small_catalogue import tables, violations, write_catalogue

from milkprep.encoder import EncoderOptions
from milkprep.extract import ExtractReport, extract
from schemas.contracts import Modality
from schemas.errors import BadValue, DataError, FeatureMissing
from schemas.reporting import Silent
from schemas.store import Store

NAN = float("nan")
SHOWN = "SELECT item_idx, vector FROM features_visual ORDER BY item_idx"


@pytest.fixture
def folder(tmp_path):
    """Three items with a picture's vector, one whose row is broken, one whose row is zero."""
    file = write_vectors(tmp_path / "image_feat.npy", [[1, 2], [3, 4], [NAN, 5], [6, 7], [0, 0]])
    pull_prepared(tmp_path, [(0, 0), (0, 1)], features={Modality.VISUAL: file})
    return tmp_path


def run(folder, encoder: str, modality: Modality = Modality.VISUAL, **options) -> ExtractReport:
    return extract(folder / "s.duckdb", modality=modality, encoder=encoder, as_default=True, reporter=Silent(), **options)


def test_a_broken_row_of_imported_vectors_is_no_file_to_read(folder):
    before = tables(folder / "s.duckdb")
    with pytest.raises(DataError, match="No item has visual content in a local file"):
        run(folder, "colour-layout")
    assert tables(folder / "s.duckdb") == before
    assert [item for item, _ in table(folder, SHOWN)] == [0, 1, 3]
    assert violations(folder / "s.duckdb") == {}


def test_imported_vectors_are_shown_again_after_another_encoder(folder):
    path, before = folder / "s.duckdb", table(folder, SHOWN)
    with Store(path, mode="write") as store:  # a picture of an item beside the vectors that came with it
        picture = str(write_picture(folder / "1.png"))
        store.run("INSERT INTO assets VALUES (1, 'visual', 1, $picture, NULL, 'pending', 'file not read yet')", picture=picture)
    assert run(folder, "colour-layout").n_items == 1
    assert [item for item, _ in table(folder, SHOWN)] == [1]
    report = run(folder, "imported")
    assert (report.n_items, report.n_contents, report.n_embedded_now, report.n_failed, report.n_without) == (3, 3, 0, 2, 2)
    assert report.feature_set.identity.weights == "image_feat.npy"
    assert table(folder, SHOWN) == before
    assert table(folder, "SELECT encoder FROM feature_sets WHERE is_current") == [("imported",)]
    assert violations(path) == {}


def test_imported_vectors_asked_for_again_change_nothing(folder):
    before = tables(folder / "s.duckdb")
    assert run(folder, "imported").n_embedded_now == 0
    assert tables(folder / "s.duckdb") == before


def test_vectors_that_were_never_imported_cannot_be_shown(tmp_path):
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)])
    before = tables(path)
    with pytest.raises(FeatureMissing, match=r"no imported visual vectors.*`pull prepared`.*colour-layout"):
        run(tmp_path, "imported")
    assert tables(path) == before


@pytest.mark.parametrize("option", [{"normalise": True}, {"max_length": 5}, {"pooling": "cls"}])
def test_imported_vectors_take_no_options(folder, option):
    with pytest.raises(BadValue, match="means nothing"):
        run(folder, "imported", options=EncoderOptions(**option))
