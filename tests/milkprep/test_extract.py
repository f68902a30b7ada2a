"""Extraction of text: what is embedded, once each, and what the store says of the rest."""

import shutil

import numpy as np
import pytest
from small_catalogue import add_items, query, tables, violations, write_catalogue

from milkprep.encoder import EncoderOptions
from milkprep.engine import content
from milkprep.extract import ExtractReport, extract
from milkprep.extractors import hashed_ngrams
from schemas import fingerprint
from schemas.contracts import Modality
from schemas.errors import BadValue, DataError, StoreError, UnknownName
from schemas.reporting import Silent
from schemas.store import Store

CATALOGUE = [
    ("A red card", "for birthdays"),
    ("A blue card", None),
    (None, "only a description"),
    (None, None),
    ("A blue card", None),  # the same text as item 1
    ("A blue card", "but with more to it"),
    (" \n\t ", None),  # white space is no text
]


@pytest.fixture(scope="module")
def pulled(tmp_path_factory):
    return write_catalogue(tmp_path_factory.mktemp("pulled") / "s.duckdb", CATALOGUE)


@pytest.fixture
def path(pulled, tmp_path):
    return shutil.copy(pulled, tmp_path / "s.duckdb")


def run(path, **options) -> ExtractReport:
    return extract(path, **{"modality": Modality.TEXT, "encoder": "hashed-ngrams", "as_default": True, "reporter": Silent(), **options})


def embedded_now(path, monkeypatch, **options) -> list[str]:
    """Texts that a run hands to the encoder."""
    seen: list[str] = []
    decode = hashed_ngrams.HashedNgrams.decode
    monkeypatch.setattr(hashed_ngrams.HashedNgrams, "decode", lambda self, text: seen.append(text) or decode(self, text))
    run(path, **options)
    return sorted(seen)


def test_every_item_with_text_has_a_vector_and_every_other_a_reason(path):
    report = run(path)
    assert query(path, 'SELECT item_idx, "text", text_reason FROM modality_availability ORDER BY item_idx') == [
        (0, True, None), (1, True, None), (2, True, None), (3, False, "no title"), (4, True, None), (5, True, None),
        (6, False, "no text in title, description"),
    ]  # fmt: skip
    assert (report.n_items, report.n_contents, report.n_embedded_now, report.n_failed, report.n_without) == (5, 4, 4, 0, 2)
    assert sorted(report.reasons.rows()) == [("no text in title, description", 1), ("no title", 1)]
    assert violations(path) == {}


def test_a_vector_is_that_of_the_title_and_the_description_on_two_lines(path):
    run(path)
    encoder = hashed_ngrams.HashedNgrams()
    expected = {0: "A red card\nfor birthdays", 1: "A blue card", 2: "only a description", 4: "A blue card", 5: "A blue card\nbut with more to it"}
    with Store(path, mode="read") as store:
        found = dict(store.query("SELECT item_idx, vector FROM features_text").iter_rows())
        hashes = dict(store.query("SELECT item_idx, content_sha256 FROM feature_rows").iter_rows())
    assert found.keys() == expected.keys()
    for item, text in expected.items():
        np.testing.assert_array_equal(np.array(found[item], dtype=np.float32), encoder.encode([encoder.decode(text)])[0])
        assert hashes[item] == fingerprint.of_text(text)


def test_equal_text_is_embedded_once(path, monkeypatch):
    seen = embedded_now(path, monkeypatch)
    assert seen == ["A blue card", "A blue card\nbut with more to it", "A red card\nfor birthdays", "only a description"]


def test_equal_text_on_different_pages_is_embedded_once(path, monkeypatch):
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.TEXT, 2)
    assert len(embedded_now(path, monkeypatch)) == 4
    assert violations(path) == {}


def test_a_finished_extraction_has_nothing_to_do_and_changes_nothing(path, monkeypatch):
    run(path)
    before = tables(path)
    assert embedded_now(path, monkeypatch) == []
    assert run(path).n_embedded_now == 0
    assert tables(path) == before


def test_only_new_content_is_embedded(path, monkeypatch):
    run(path)
    with Store(path, mode="write") as store, store.transaction():
        add_items(store, [("A red card", "for birthdays"), ("A green card", None)])
    assert embedded_now(path, monkeypatch) == ["A green card"]
    assert query(path, "SELECT count(*) FROM features_text") == [(7,)]
    assert query(path, "SELECT n_items, n_contents FROM feature_sets") == [(7, 5)]


def test_an_item_whose_text_changed_shows_the_new_one(path, monkeypatch):
    run(path)
    with Store(path, mode="write") as store:
        store.run("UPDATE items SET title = 'A gold card' WHERE item_idx = 1")
    assert embedded_now(path, monkeypatch) == ["A gold card"]
    assert query(path, "SELECT content_sha256 FROM feature_rows WHERE item_idx = 1") == [(fingerprint.of_text("A gold card"),)]
    assert query(path, "SELECT count(*) FROM features_text") == [(5,)]


def test_batches_and_pages_do_not_change_the_store(path, tmp_path, monkeypatch):
    run(path)
    other = write_catalogue(tmp_path / "other.duckdb", CATALOGUE)
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.TEXT, 3)
    run(other, batch_size=1)
    assert tables(other) == tables(path)


def test_fields_are_part_of_the_feature_set(path):
    both, titles = run(path), run(path, fields=("title",))
    assert both.feature_set.feature_set_id != titles.feature_set.feature_set_id
    assert run(path, fields=("description", "title")).feature_set.feature_set_id == both.feature_set.feature_set_id


def test_fields_choose_the_columns_a_text_is_made_of(path, monkeypatch):
    assert embedded_now(path, monkeypatch, fields=("categories", "brand", "title"))[0] == "A blue card\nbrand 1\na, b"


def test_items_without_the_asked_columns_say_so_and_recover_when_asked_again(path):
    report = run(path, fields=("description",))
    assert report.n_items == 3
    assert dict(report.reasons.rows())["no text in description"] == 3
    assert dict(run(path).reasons.rows()) == {"no title": 1, "no text in title, description": 1}
    assert violations(path) == {}


def test_text_of_columns_without_an_asset_gets_one(path):
    report = run(path, fields=("brand",))
    assert (report.n_items, report.n_without) == (7, 0)
    assert query(path, "SELECT item_idx, position, location, status FROM assets WHERE location = 'items.brand'") == [(3, 2, "items.brand", "ok")]
    assert violations(path) == {}


def test_the_run_before_is_shown_again_when_it_is_asked_for_again(path):
    both = run(path)
    run(path, fields=("title",))
    assert query(path, "SELECT count(*) FROM features_text") == [(4,)]
    again = run(path)
    assert (again.n_embedded_now, again.n_items) == (0, both.n_items)
    assert query(path, "SELECT count(*) FROM features_text") == [(5,)]


def test_a_text_that_fails_is_a_row_and_the_run_goes_on(path, monkeypatch):
    monkeypatch.setattr(hashed_ngrams.HashedNgrams, "decode", refuse_blue(hashed_ngrams.HashedNgrams.decode))
    report = run(path)
    assert (report.n_items, report.n_failed) == (2, 3)
    assert dict(report.reasons.rows())["too blue"] == 3
    assert query(path, "SELECT source, line, reason, detail, text_start FROM rejects ORDER BY text_start") == [
        ("text", None, "decode_error", "too blue", "A blue card"),
        ("text", None, "decode_error", "too blue", "A blue card\nbut with more to it"),
    ]
    before = tables(path)
    assert run(path).n_embedded_now == 0
    assert tables(path) == before
    assert violations(path) == {}


def test_what_one_encoder_cannot_use_another_still_can(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(hashed_ngrams.HashedNgrams, "decode", refuse_blue(hashed_ngrams.HashedNgrams.decode))
        run(path)
    run(path, fields=("title",))
    assert query(path, "SELECT DISTINCT status, reason FROM assets WHERE item_idx IN (1, 4) ORDER BY ALL") == [
        ("absent", "no description"),
        ("ok", None),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(hashed_ngrams.HashedNgrams, "decode", refuse_blue(hashed_ngrams.HashedNgrams.decode))
        run(path, fields=("title", "brand"))
    assert violations(path) == {}  # the titles' vectors still have an asset that is ok
    assert dict(query(path, "SELECT item_idx, text_reason FROM modality_availability"))[1] == "too blue"


def refuse_blue(decode):
    def refusing(self, text):
        if "blue" in text:
            raise hashed_ngrams.undecodable("too blue")
        return decode(self, text)

    return refusing


@pytest.mark.parametrize(("vector", "reason"), [(0.0, "the encoder's vector is all zeros"), (np.nan, "the encoder's vector is not finite")])
def test_a_vector_that_is_none_is_a_failure_not_a_row_of_zeros(path, monkeypatch, vector, reason):
    encode = hashed_ngrams.HashedNgrams.encode
    monkeypatch.setattr(hashed_ngrams.HashedNgrams, "encode", lambda self, batch: encode(self, batch) * np.float32(vector))
    with pytest.raises(DataError, match=rf"hashed-ngrams embedded none of the texts: 5 items failed, most often because {reason} \(5 items\)"):
        run(path)
    assert query(path, "SELECT text_reason FROM modality_availability WHERE item_idx = 0") == [(reason,)]
    assert violations(path) == {}


def test_a_run_that_embeds_nothing_leaves_the_set_shown_before_in_its_place(path, monkeypatch):
    run(path)
    shown = query(path, "SELECT * FROM features_text ORDER BY item_idx")

    def refuse(self, text):
        raise hashed_ngrams.undecodable("too blue" if "blue" in text else "not blue enough")

    monkeypatch.setattr(hashed_ngrams.HashedNgrams, "decode", refuse)
    for _ in range(2):  # again, and it says so again
        with pytest.raises(DataError, match=r"4 items failed, most often because too blue \(3 items\)"):
            run(path, fields=("title",))
        assert query(path, "SELECT * FROM features_text ORDER BY item_idx") == shown
        assert query(path, "SELECT is_current, finished_at IS NOT NULL FROM feature_sets ORDER BY feature_set_id") == [(True, True), (False, False)]
    assert query(path, "SELECT detail, text_start FROM rejects ORDER BY ALL") == [("not blue enough", "A red card"), ("too blue", "A blue card")]
    assert violations(path) == {}


def test_progress_counts_every_item_once(path, monkeypatch):
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.TEXT, 3)
    counted = Counting()
    run(path, reporter=counted)
    assert (counted.total, counted.done, counted.unit) == (5, 5, "texts")


class Counting(Silent):
    """A reporter that remembers."""

    def progress(self, label, *, total, unit):
        self.total, self.done, self.unit, self.label = total, 0, unit, label
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def advance(self, n=1):
        self.done += n

    def note(self, text):
        self.noted = text


def test_the_report_says_where_the_time_went(path):
    report = run(path)
    assert list(report.stages) == ["loading", "reading", "decoding", "waiting", "encoding", "writing"]
    assert all(0 <= seconds <= report.seconds for seconds in report.stages.values())
    assert report.stages["encoding"] > 0
    assert report.stages["loading"] + report.stages["waiting"] + report.stages["encoding"] <= report.seconds  # one after the other
    assert query(path, "SELECT seconds > 0 FROM feature_sets") == [(True,)]


def test_no_text_anywhere_is_an_error_that_registers_nothing(tmp_path):
    path = write_catalogue(tmp_path / "s.duckdb", [(None, None), (None, None)])
    with pytest.raises(DataError, match=r"No item has text content in title, description \(2 items: no title\)"):
        run(path)
    assert query(path, "SELECT count(*) FROM feature_sets") == [(0,)]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"fields": ("title", "price")}, BadValue, "cannot be made of price"),
        ({"fields": ()}, BadValue, "cannot be made of nothing"),
        ({"batch_size": 0}, BadValue, "--batch-size 0"),
        ({"encoder": "hashed-ngram"}, UnknownName, "Did you mean 'hashed-ngrams'"),
        ({"encoder": "colour-layout"}, BadValue, "embeds visual, not text"),
        ({"options": EncoderOptions(max_length=5)}, BadValue, "--max-length means nothing"),
        ({"options": EncoderOptions(pooling="cls")}, BadValue, "--pooling means nothing"),
        ({"options": EncoderOptions(device="cuda")}, BadValue, "--device means nothing"),
        ({"modality": Modality.VISUAL, "encoder": "colour-layout"}, DataError, "No item has visual content in a local file"),
        ({"modality": Modality.AUDIO, "encoder": None}, DataError, "No item has audio content in a local file"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_no_trace(path, options, error, match):
    before = tables(path)
    with pytest.raises(error, match=match):
        run(path, **options)
    assert tables(path) == before


def test_a_store_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(StoreError, match="There is no store"):
        run(tmp_path / "none.duckdb")
