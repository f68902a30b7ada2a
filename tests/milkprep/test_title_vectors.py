"""Titles as bags of anonymous words: the table of words, and the vectors that TF-IDF and truncated SVD make of them."""

import json

import numpy as np
import pytest
import short_videos as short
from raw_files import count, rejects, table
from short_videos import title, view
from sklearn.feature_extraction.text import TfidfTransformer

from milkprep.sources import _title_vectors
from schemas.store import Store

TITLES = short.NAMES["titles"]


def random_titles(n, *, words=30, seed=0):
    """Titles of 1 to 6 words for the items 100, 101, ..., in which some words are much more frequent than others."""
    generator = np.random.default_rng(seed)
    share = 1 / np.arange(1, words + 1)
    drawn = [generator.choice(words, size=generator.integers(1, 7), p=share / share.sum()) for _ in range(n)]
    return {
        100 + at: {int(word): int(times) for word, times in zip(*np.unique(row, return_counts=True), strict=True)} for at, row in enumerate(drawn)
    }


def pull(folder, titles, **options):
    """Pull these titles, each of an item that one user finished."""
    lines = [title(item, words) for item, words in titles.items()]
    return short.pull(folder, [view(1, item) for item in titles], files={"titles": lines}, **options)


def vectors(folder):
    return {
        int(key): np.array(vector, dtype="float32") for key, vector in table(folder, "SELECT item_key, vector FROM features_text ORDER BY item_idx")
    }


def parameters(folder):
    return json.loads(table(folder, "SELECT parameters FROM feature_sets WHERE modality = 'text'")[0][0])


def by_the_book(titles, *, width):
    """The same vectors by scikit-learn's TF-IDF and a full SVD, items in the order of their keys."""
    items, words = sorted(titles), sorted({word for title in titles.values() for word in title})
    counts = np.array([[titles[item].get(word, 0) for word in words] for item in items])
    matrix = TfidfTransformer().fit_transform(counts).toarray()
    _, _, components = np.linalg.svd(matrix, full_matrices=False)
    components = components[:width]
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    return dict(zip(items, matrix @ components.T, strict=True))


@pytest.mark.parametrize("width", [1, 4, 30])
def test_vectors_are_those_of_scikit_learns_tfidf_and_an_exact_svd(tmp_path, width):
    titles = random_titles(60)
    pull(tmp_path, titles, text_width=width)
    found, expected = vectors(tmp_path), by_the_book(titles, width=width)
    assert list(found) == sorted(titles)
    np.testing.assert_allclose(np.stack(list(found.values())), np.stack(list(expected.values())), atol=2e-4)
    assert table(tmp_path, "SELECT encoder, weights, weights_sha256, pooling FROM feature_sets") == [("tfidf-svd", "none", "", "none")]
    assert set(json.loads(table(tmp_path, "SELECT versions FROM feature_sets")[0][0])) == {"scikit-learn", "scipy", "numpy"}


def test_words_are_a_table_and_each_item_says_whether_it_has_a_title(tmp_path):
    views = [view(1, item) for item in (10, 11, 12, 13)]
    lines = [title(12, {7: 2, 3: 1}), title(10, {}), title(12, {1: 1}), title(99, {1: 1}), title(11, {3: 1})]
    lines += [
        b'{"item_id": 13, "title_features": {"x": 1}}',
        b'{"item_id": 13, "title_features": {"1": 0}}',
        b'{"item_id": 13, "title_features": {"-1": 1}}',
        b'{"item_id": 13}',
        b'{"item_id": -13, "title_features": {}}',
        title(12, {7: 2, 3: 1}),
    ]
    report = short.pull(tmp_path, views, files={"titles": lines})
    assert table(tmp_path, "SELECT item_key, word, count FROM title_words JOIN items USING (item_idx) ORDER BY ALL") == [
        ("11", 3, 1),
        ("12", 3, 1),
        ("12", 7, 2),
    ]
    assert rejects(tmp_path) == [
        (3, "duplicate_item"), (4, "without_item"), (6, "wrong_type"), (7, "wrong_type"), (8, "wrong_type"), (9, "wrong_type"), (10, "wrong_type"),
        (11, "duplicate_line"),
    ]  # fmt: skip
    assert (count(report, TITLES, "read"), count(report, TITLES, "taken")) == (11, 3)
    assert table(tmp_path, "SELECT item_key, text_reason FROM modality_availability ORDER BY item_idx") == [
        ("10", f"its title in {TITLES} has no words"),
        ("11", None),
        ("12", None),
        ("13", f"not in {TITLES}"),
    ]
    assert table(tmp_path, "SELECT DISTINCT location FROM assets") == [("title_words",)]
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        assert {name for name, rows in store.violations().items() if rows.height} == set()


def test_the_width_is_what_the_titles_span_and_the_report_says_so(tmp_path):
    titles = {100: {1: 1}, 101: {2: 1}, 102: {1: 1, 2: 1}, 103: {1: 1, 2: 1}, 104: {1: 2, 2: 2}}  # a plane
    report = pull(tmp_path, titles)
    assert report.notes == (f"The titles in {TITLES} span 2 dimensions, so their vectors have that width, not 128.",)
    assert table(tmp_path, "SELECT width FROM feature_sets") == [(2,)]
    assert parameters(tmp_path)["wanted_width"] == 128
    # Equal up to their length, which TF-IDF takes away: one content.
    assert table(tmp_path, "SELECT n_items, n_contents FROM feature_sets") == [(5, 3)]


def test_one_word_is_a_title(tmp_path):
    assert pull(tmp_path, {100: {5: 1}}).n_items == 1
    assert vectors(tmp_path)[100].tolist() == [1.0]


def test_the_same_titles_give_the_same_bits_whatever_the_order_of_lines_and_the_size_of_pages(tmp_path, monkeypatch):
    titles = random_titles(50)
    pull(tmp_path, titles, text_width=8)
    (tmp_path / "again").mkdir()
    monkeypatch.setattr(_title_vectors, "PAGE_ITEMS", 7)
    pull(tmp_path / "again", dict(reversed(titles.items())), text_width=8)
    first, again = vectors(tmp_path), vectors(tmp_path / "again")
    assert all(np.array_equal(first[item], again[item]) for item in titles)
    assert parameters(tmp_path) == parameters(tmp_path / "again")


def test_only_titles_of_items_that_are_taken_count(tmp_path):
    titles, others = random_titles(40), {item + 1000: words for item, words in random_titles(40, seed=1).items()}
    pull(tmp_path, titles, text_width=4)
    (tmp_path / "more").mkdir()
    lines = [title(item, words) for item, words in (titles | others).items()]
    short.pull(tmp_path / "more", [view(1, item) for item in titles], files={"titles": lines}, text_width=4)
    first, again = vectors(tmp_path), vectors(tmp_path / "more")
    assert list(first) == list(again)
    assert all(np.array_equal(first[item], again[item]) for item in titles)


def test_of_too_many_titles_a_seeded_sample_is_fitted_and_all_have_vectors(tmp_path, monkeypatch):
    monkeypatch.setattr(_title_vectors, "MOST_TITLES", 20)
    titles = random_titles(60)
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / folder).mkdir()
        pull(tmp_path / folder, titles, text_width=4, seed=seed)
    a, b, c = (vectors(tmp_path / folder) for folder in "abc")
    assert len(a) == 60
    assert (parameters(tmp_path / "a")["titles"], parameters(tmp_path / "a")["fitted_titles"]) == (60, 20)
    assert all(np.array_equal(a[item], b[item]) for item in titles)
    assert not all(np.array_equal(a[item], c[item]) for item in titles)


def test_a_title_of_words_too_rare_to_count_has_no_vector_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(_title_vectors, "MOST_WORDS", 2)
    monkeypatch.setattr(_title_vectors, "PAGE_ITEMS", 2)
    titles = {100: {1: 1}, 101: {1: 1, 2: 1}, 102: {9: 1}, 103: {8: 1}, 104: {2: 1, 7: 3}}  # 102 and 103 are a page of their own
    pull(tmp_path, titles)
    assert list(vectors(tmp_path)) == [100, 101, 104]
    why = "lies outside of the components that are kept"
    assert table(tmp_path, "SELECT source, line, reason, detail FROM rejects ORDER BY line") == [
        ("title_words", 3, "all_zero", f"the row of item 102 {why}"),
        ("title_words", 4, "all_zero", f"the row of item 103 {why}"),
    ]
    assert table(tmp_path, "SELECT text_reason FROM modality_availability WHERE item_key = '102'") == [(f"its row in title_words {why}",)]
    assert parameters(tmp_path)["rarest_words_left_out"] == 3


def test_a_title_at_right_angles_to_all_components_has_no_vector(tmp_path):
    titles = {100 + n: {1: 1} for n in range(5)} | {200: {2: 1}}
    pull(tmp_path, titles, text_width=1)
    assert list(vectors(tmp_path)) == [100, 101, 102, 103, 104]
    assert rejects(tmp_path) == [(6, "all_zero")]
