"""A store that an earlier version made is brought up to date by the extraction that is run on it."""

import pytest
from small_catalogue import query, violations, write_catalogue

from milkprep.extract import extract
from schemas import queries
from schemas.contracts import Modality
from schemas.errors import StoreError
from schemas.reporting import Silent
from schemas.store import Store

REASON = "usable_assets_state_no_reason"


def test_an_extraction_goes_on_in_a_store_of_an_earlier_version_and_clears_reasons_of_usable_assets(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        true = queries.documents
        earlier = [document for document in true("schemas.ddl") if not document[0].endswith(REASON)]
        patched.setattr(queries, "documents", lambda package: earlier if package == "schemas.ddl" else true(package))
        path = write_catalogue(tmp_path / "s.duckdb", [("A card", None), ("Another", None)])
        with Store(path, mode="update") as store:
            store.run("UPDATE assets SET reason = 'too blue' WHERE status = 'ok' AND item_idx = 1")
        assert list(violations(path)) == [REASON]
    with pytest.raises(StoreError, match="older schema"):
        Store(path, mode="read")
    assert extract(path, modality=Modality.TEXT, encoder="hashed-ngrams", reporter=Silent()).n_items == 2
    assert query(path, "SELECT count(*) FROM assets WHERE status = 'ok' AND reason IS NOT NULL") == [(0,)]
    assert violations(path) == {}
