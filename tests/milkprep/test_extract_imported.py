"""Extraction in a store whose vectors came ready-made: what was imported is no file to read, and is never lost."""

import pytest
from raw_files import pull_prepared, table, write_vectors
from small_catalogue import tables, violations

from milkprep.extract import ExtractReport, extract
from schemas.contracts import Modality
from schemas.errors import DataError
from schemas.reporting import Silent

NAN = float("nan")
SHOWN = "SELECT item_idx, vector FROM features_visual ORDER BY item_idx"


@pytest.fixture
def folder(tmp_path):
    """Three items with a picture's vector, one whose row is broken, one whose row is zero."""
    file = write_vectors(tmp_path / "image_feat.npy", [[1, 2], [3, 4], [NAN, 5], [6, 7], [0, 0]])
    pull_prepared(tmp_path, [(0, 0), (0, 1)], features={Modality.VISUAL: file})
    return tmp_path


def run(folder, encoder: str, modality: Modality = Modality.VISUAL, **options) -> ExtractReport:
    return extract(folder / "s.duckdb", modality=modality, encoder=encoder, reporter=Silent(), **options)


def test_a_broken_row_of_imported_vectors_is_no_file_to_read(folder):
    before = tables(folder / "s.duckdb")
    with pytest.raises(DataError, match="No item has visual content in a local file"):
        run(folder, "colour-layout")
    assert tables(folder / "s.duckdb") == before
    assert [item for item, _ in table(folder, SHOWN)] == [0, 1, 3]
    assert violations(folder / "s.duckdb") == {}
