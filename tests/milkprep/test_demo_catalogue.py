"""The generated catalogue: true to the release's format, honest about what it planted, and predictable from its content."""

import gzip
import json
import wave
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from milkprep import demo_catalogue, demo_media, demo_records, demo_tastes
from milkprep.sources import amazon
from schemas.contracts import Modality, RejectReason
from schemas.errors import BadValue
from schemas.reporting import Silent
from schemas.store import Store

SMALL = {"n_users": 250, "n_items": 300}
#: Every key of a metadata line in the release's final schema, and of a review line with those that may be absent apart.
METADATA_KEYS = [
    "category", "tech1", "description", "fit", "title", "also_buy", "tech2", "brand", "feature", "rank", "also_view", "details",
    "main_cat", "similar_item", "date", "price", "asin", "imageURL", "imageURLHighRes",
]  # fmt: skip
REVIEW_KEYS = {"overall", "verified", "reviewTime", "reviewerID", "asin", "reviewerName", "unixReviewTime"}
OPTIONAL_REVIEW_KEYS = {"style", "reviewText", "summary", "vote", "image"}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return demo_catalogue.write(tmp_path_factory.mktemp("demo") / "catalogue", seed=3, **SMALL)


@pytest.fixture(scope="module")
def metadata(catalogue):
    """Item key -> its first sound line."""
    found = {}
    for record in sound_lines(catalogue.metadata):
        if "asin" in record:
            found.setdefault(record["asin"], record)
    return found


@pytest.fixture(scope="module")
def pairs(catalogue):
    """(user, item) pairs of the sound reviews."""
    return {(r["reviewerID"], r["asin"]) for r in sound_lines(catalogue.reviews) if {"reviewerID", "asin"} <= r.keys()}


def sound_lines(path):
    """Records of the lines that are JSON objects."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(catalogue, tmp_path):
    again = demo_catalogue.write(tmp_path / "again", seed=3, **SMALL)
    assert contents(again.folder) == contents(catalogue.folder)
    other = demo_catalogue.write(tmp_path / "other", seed=4, **SMALL)
    assert other.reviews.read_bytes() != catalogue.reviews.read_bytes()
    assert other.truth.item_tastes != catalogue.truth.item_tastes


def test_the_truth_lies_beside_the_files_as_it_is_returned(catalogue):
    assert json.loads((catalogue.folder / "truth.json").read_text()) == json.loads(json.dumps(asdict(catalogue.truth)))


def test_lines_have_the_keys_of_the_final_schema(catalogue, metadata):
    assert {tuple(record) for record in metadata.values()} == {tuple(METADATA_KEYS)}
    keys = Counter(key for record in sound_lines(catalogue.reviews) for key in record)
    assert set(keys) <= REVIEW_KEYS | OPTIONAL_REVIEW_KEYS
    assert min(keys[key] for key in REVIEW_KEYS) > 0.99 * keys.total() / len(keys)


def test_the_real_files_have_the_same_keys(real_data):
    folder = real_data / "amazon2018_gift_cards"
    assert {frozenset(record) for record in sound_lines(folder / "meta_Gift_Cards.v2.json.gz")} == {frozenset(METADATA_KEYS)}
    for record in sound_lines(folder / "Gift_Cards_5.json.gz"):
        assert record.keys() - OPTIONAL_REVIEW_KEYS == REVIEW_KEYS


def test_planted_lines_are_counted_as_pull_finds_them(catalogue, tmp_path):
    path = tmp_path / "s.duckdb"
    amazon.pull(path, metadata=catalogue.metadata, reviews=catalogue.reviews, media=catalogue.folder, keep_all_items=True, reporter=Silent())
    with Store(path, mode="read") as store:
        rejects = store.query("SELECT source, reason, count(*) AS n FROM rejects WHERE reason <> $core GROUP BY ALL", core=RejectReason.BELOW_CORE)
        unknown = store.query("SELECT item_key FROM items WHERE NOT in_metadata ORDER BY ALL")["item_key"].to_list()
        users = store.query("SELECT user_key FROM users ORDER BY ALL")["user_key"].to_list()
    found = {(source, reason): n for source, reason, n in rejects.rows()}
    assert found == {(file, reason): n for file, counts in catalogue.truth.planted.items() for reason, n in counts.items()}
    assert unknown == catalogue.truth.items_not_in_metadata
    assert users == sorted(catalogue.truth.user_tastes)


def test_after_the_5_core_every_user_but_the_passers_by_and_nearly_every_item_stays(catalogue, pairs):
    staying = set(pairs)
    while True:
        users, items = Counter(u for u, _ in staying), Counter(i for _, i in staying)
        kept = {(u, i) for u, i in staying if users[u] >= 5 and items[i] >= 5}
        if kept == staying:
            break
        staying = kept
    assert set(users) == set(catalogue.truth.user_tastes)
    assert min(users.values()) >= demo_tastes.LEAST
    assert set(catalogue.truth.passers_by) == {u for u, _ in pairs} - set(users)
    assert len(items) > 0.9 * SMALL["n_items"]


def test_items_that_nobody_touches_and_items_that_the_metadata_lacks_are_as_stated(catalogue, metadata, pairs):
    touched = {item for _, item in pairs}
    assert sorted(metadata.keys() - touched) == catalogue.truth.untouched_items
    assert sorted(touched - metadata.keys()) == catalogue.truth.items_not_in_metadata


def test_pictures_are_missing_or_broken_exactly_where_the_truth_says(catalogue, metadata):
    found = {}
    for key, record in metadata.items():
        path = catalogue.folder / "images" / f"{key}.jpg"
        if not path.exists():
            found[key] = "not_fetched" if record["imageURLHighRes"] else "absent"
        elif not readable(path):
            found[key] = "decode_error"
    assert found == catalogue.truth.missing["visual"]
    assert Counter(found.values()) == {"absent": 24, "not_fetched": 6, "decode_error": 6}  # 8 % of 300, and six each


def readable(path):
    try:
        with Image.open(path) as picture:
            picture.load()
    except OSError:
        return False
    return picture.size == (demo_media.SIDE, demo_media.SIDE)


def test_broken_pictures_are_cut_short_empty_and_no_pictures_at_all(catalogue):
    broken = [key for key, status in catalogue.truth.missing["visual"].items() if status == "decode_error"]
    starts = Counter((catalogue.folder / "images" / f"{key}.jpg").read_bytes()[:2] for key in broken)
    assert starts == {b"\xff\xd8": 2, b"": 2, b"<h": 2}


def test_titles_are_missing_exactly_where_the_truth_says_half_of_them_as_scraped_pages(catalogue, metadata):
    titles = {key: metadata[key]["title"] for key in catalogue.truth.missing["text"]}
    assert {key for key, record in metadata.items() if not record["title"] or "<" in record["title"]} == set(titles)
    assert set(titles.values()) == {"", demo_records.SCRAPED_TITLE}
    assert not any(metadata[key]["description"] for key in titles)


def test_sounds_are_missing_silent_or_too_short_exactly_where_the_truth_says(catalogue, metadata):
    found = {}
    for key in metadata:
        path = catalogue.folder / "audio" / f"{key}.wav"
        if not path.exists():
            found[key] = "absent"
        elif not samples(path).any():
            found[key] = "silent"
        elif len(samples(path)) < demo_media.RATE / 10:
            found[key] = "too_short"
    assert found == catalogue.truth.missing["audio"]
    assert Counter(found.values()) == {"absent": 30, "silent": 1, "too_short": 1}


def samples(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(float)


def test_some_items_lack_two_modalities_and_none_all_three(catalogue):
    lacking = Counter(key for items in catalogue.truth.missing.values() for key in items)
    assert set(lacking.values()) == {1, 2}


def test_entities_stand_in_titles_and_categories_as_in_the_release(metadata):
    assert sum("&amp;" in record["title"] for record in metadata.values()) > 10
    assert all("Home &amp; Gifts" in record["category"] for record in metadata.values())


def test_most_interactions_are_with_items_of_a_theme_the_user_likes(catalogue, pairs):
    users, items = catalogue.truth.user_tastes, catalogue.truth.item_tastes
    liked = [np.dot(users[user], items[item]) > 0.25 for user, item in pairs if user in users and item in items]
    assert np.mean(liked) > 0.75
    everything = [np.dot(user, item) > 0.25 for user in users.values() for item in items.values()]
    assert np.mean(everything) < 0.35


def vectors_of(catalogue, metadata):
    """Plain content vectors: mean colours of 8 x 8 cells, log spectrum in 40 bands, counts of words. Missing ones are the mean."""
    vocabulary = sorted({word for words in demo_records.WORDS for word in words})
    made = {Modality.VISUAL: {}, Modality.AUDIO: {}, Modality.TEXT: {}}
    for key, record in metadata.items():
        if key not in catalogue.truth.missing["visual"]:
            with Image.open(catalogue.folder / "images" / f"{key}.jpg") as picture:
                made[Modality.VISUAL][key] = np.asarray(picture.resize((8, 8), Image.Resampling.BOX), dtype=float).ravel()
        if key not in catalogue.truth.missing["audio"]:
            spectrum = abs(np.fft.rfft(samples(catalogue.folder / "audio" / f"{key}.wav"), n=16_000))[100:4000]
            made[Modality.AUDIO][key] = np.log([band.max() for band in np.array_split(spectrum, 40)])
        if key not in catalogue.truth.missing["text"]:
            words = " ".join([record["title"], *record["description"]]).lower()
            made[Modality.TEXT][key] = np.array([float(word.lower() in words) for word in vocabulary])
    return {modality: standardised(rows, order=list(catalogue.truth.item_tastes)) for modality, rows in made.items()}


def standardised(rows, *, order):
    """(V, D) columns of mean 0 and deviation 1, rows of length 1 where there is content and 0 elsewhere."""
    present = np.array([key in rows for key in order])
    held = np.array([rows[key] for key in order if key in rows])
    matrix = np.zeros((len(order), held.shape[1]))
    matrix[present] = (held - held.mean(axis=0)) / held.std(axis=0).clip(1e-9)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True).clip(1e-9)


@pytest.fixture(scope="module")
def recall(catalogue, metadata, pairs):
    """Mean recall at 20 of new items, over five draws of a fifth of the items, by what ranks them.

    A user's score of a new item is the inner product of its vector with the sum of those they touched: nothing is trained.
    """
    truth, vectors = catalogue.truth, vectors_of(catalogue, metadata)
    users, items = list(truth.user_tastes), list(truth.item_tastes)
    touched = np.array([[(user, item) in pairs for item in items] for user in users], dtype=float)
    found = {}
    for seed in range(5):
        new = np.zeros(len(items), dtype=bool)
        new[np.random.default_rng(seed).choice(len(items), len(items) // 5, replace=False)] = True
        scores = {m: touched[:, ~new] @ v[~new] @ v.T for m, v in vectors.items()}
        scores["all"] = sum(scores.values())
        scores["truth"] = np.array(list(truth.user_tastes.values())) @ np.array(list(truth.item_tastes.values())).T
        for name, score in scores.items():
            found.setdefault(name, []).append(recall_at_20(score[:, new], touched[:, new]))
    return {name: float(np.mean(values)) for name, values in found.items()}


def recall_at_20(scores, relevant):
    best = np.argsort(-scores, axis=1)[:, :20]
    positives = relevant.sum(axis=1)
    hits = np.take_along_axis(relevant, best, axis=1).sum(axis=1)
    return (hits[positives > 0] / positives[positives > 0]).mean()


CHANCE = 20 / (SMALL["n_items"] // 5)


@pytest.mark.parametrize("modality", Modality)
def test_each_modality_predicts_which_new_items_a_user_likes(recall, modality):
    assert recall[modality] > CHANCE + 0.15


def test_all_modalities_together_predict_better_than_any_one_and_the_planted_truth_best(recall):
    assert recall["all"] > max(recall[modality] for modality in Modality) + 0.03
    assert recall["truth"] > recall["all"] + 0.03


def test_a_catalogue_of_ours_is_replaced(tmp_path):
    first = demo_catalogue.write(tmp_path / "demo", seed=1, n_users=100, n_items=100)
    (first.folder / "images" / "leftover.jpg").write_bytes(b"")
    demo_catalogue.write(tmp_path / "demo", seed=2, n_users=100, n_items=100)
    assert not (first.folder / "images" / "leftover.jpg").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.parametrize("truth", [None, "no json", '{"generator": "somebody else"}', "[]"])
def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, truth):
    (tmp_path / "thesis.txt").write_text("years of work")
    if truth is not None:
        (tmp_path / "truth.json").write_text(truth)
    before = contents(tmp_path)
    with pytest.raises(BadValue, match=r"holds something else than a generated catalogue.*Name another folder"):
        demo_catalogue.write(tmp_path, n_users=100, n_items=100)
    assert contents(tmp_path) == before


def test_a_failure_on_the_way_leaves_the_older_catalogue_and_nothing_half_written(tmp_path, monkeypatch):
    before = contents(demo_catalogue.write(tmp_path / "demo", n_users=100, n_items=100).folder)

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(demo_catalogue, "_write_lines", full)
    with pytest.raises(OSError, match="no space"):
        demo_catalogue.write(tmp_path / "demo", seed=9, n_users=100, n_items=100)
    assert contents(tmp_path / "demo") == before
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.parametrize("wrong", [{"n_users": 99}, {"n_items": 10_000}])
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(BadValue, match=r"n_(users|items) must be 100 to 9999"):
        demo_catalogue.write(tmp_path / "demo", **wrong)
