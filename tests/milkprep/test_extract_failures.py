"""What an encoder refuses is its own failure: counted for its feature set, not tried again, and no matter to other sets."""

import pytest
from small_catalogue import query, tables, violations, write_catalogue
from typer.testing import CliRunner

import cli
from milkprep.engine import content
from milkprep.engine.embedding import Batcher
from milkprep.extract import ExtractReport, extract
from milkprep.extractors import hashed_ngrams
from schemas.contracts import Modality
from schemas.reporting import Silent
from schemas.store import Store


@pytest.fixture
def path(tmp_path):
    texts = [("A red card", None), ("A blue card", "x"), ("A green card", None), (None, None), ("A blue card", "x"), ("A blue card", None)]
    return write_catalogue(tmp_path / "s.duckdb", texts)


def run(path, **options) -> ExtractReport:
    return extract(path, **{"modality": Modality.TEXT, "encoder": "hashed-ngrams", "as_default": True, "reporter": Silent(), **options})


def refuse_blue(monkeypatch) -> list[str]:
    """Have the encoder refuse every text with `blue` in it; the texts it is given from now on."""
    decode, tried = hashed_ngrams.HashedNgrams.decode, []

    def refusing(self, text):
        tried.append(text)
        if "blue" in text:
            raise hashed_ngrams.undecodable("too blue")
        return decode(self, text)

    monkeypatch.setattr(hashed_ngrams.HashedNgrams, "decode", refusing)
    return tried


def test_a_text_that_only_one_encoder_refuses_is_tried_once_and_counted_every_time(path, monkeypatch):
    run(path, fields=("title",))
    tried = refuse_blue(monkeypatch)
    report = run(path)
    assert (report.n_items, report.n_failed) == (2, 3)
    before = tables(path)
    tried.clear()
    assert run(path).n_failed == 3
    assert tried == []
    assert tables(path) == before
    assert query(path, "SELECT n_failed FROM feature_sets ORDER BY feature_set_id") == [(0,), (3,)]  # each has its own
    monkeypatch.undo()
    assert run(path, fields=("title",)).n_failed == 0
    assert dict(query(path, "SELECT item_idx, text_reason FROM modality_availability"))[1] is None
    assert dict(run(path).reasons.rows())["too blue"] == 3
    assert violations(path) == {}


def test_a_text_that_failed_is_tried_again_when_it_has_changed(path, monkeypatch):
    with monkeypatch.context() as patch:
        refuse_blue(patch)
        run(path)
    with Store(path, mode="write") as store:
        store.run("UPDATE items SET title = 'A bluish card' WHERE item_idx = 1")
    assert run(path).n_embedded_now == 1
    assert query(path, "SELECT item_idx FROM feature_failures ORDER BY 1") == [(4,), (5,)]
    assert query(path, "SELECT n_failed FROM feature_sets") == [(2,)]


def test_a_run_that_was_stopped_counts_the_failures_it_recorded(path, monkeypatch):
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.TEXT, 2)
    refuse_blue(monkeypatch)
    embed, pages = Batcher.embed, []

    def stopped_on_the_second_page(*given, **options):
        pages.append(1)
        if len(pages) == 2:
            raise KeyboardInterrupt
        return embed(*given, **options)

    monkeypatch.setattr(Batcher, "embed", stopped_on_the_second_page)
    report = run(path)
    assert (report.interrupted, report.n_items, report.n_failed) == (True, 1, 1)


def test_what_was_tried_again_in_vain_is_not_said_to_be_done(path, monkeypatch):
    refuse_blue(monkeypatch)
    ask = ["extract", "--modality", "text", "--encoder", "hashed-ngrams", "--store", str(path)]
    assert "2 contents embedded now, 3 failed." in CliRunner().invoke(cli.app, ask).stderr
    assert "Nothing was left to embed, 3 failed." in CliRunner().invoke(cli.app, ask).stderr
    again = CliRunner().invoke(cli.app, [*ask, "--retry-failed"])
    assert (again.exit_code, "None of what failed before could be embedded, 3 failed." in again.stderr) == (0, True)
