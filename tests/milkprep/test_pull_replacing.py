"""`--replace`: the new catalogue is the one of a fresh pull, and vectors stay exactly where their content is still there."""

from pathlib import Path

import numpy as np
import own_folders
import pytest
from media_samples import gradient, write_picture
from raw_files import metadata, pull_amazon, pull_files, pull_prepared, review, table, write_inter, write_vectors

from milkprep import extract, splits
from milkprep.pull import replacing
from schemas.contracts import Modality, Setting, Several
from schemas.errors import DataError
from schemas.reporting import Silent
from schemas.store import Store

TABLES = ("users", "items", "interactions", "rejects")


def embed(folder: Path, modality: Modality, encoder: str, **options):
    return extract.extract(folder / "s.duckdb", modality=modality, encoder=encoder, as_default=True, reporter=Silent(), **options)


def vectors(folder: Path, modality: str) -> dict[str, tuple[float, ...]]:
    return {key: tuple(vector) for key, vector in table(folder, f"SELECT item_key, vector FROM features_{modality}")}


def broken(folder: Path) -> list[str]:
    with Store(folder / "s.duckdb", mode="read") as store:
        return [rule for rule, rows in store.violations().items() if rows.height]


def catalogue(folder: Path) -> dict[str, object]:
    found = {name: table(folder, f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}
    return found | {"pull": table(folder, "SELECT pull_id, fingerprint, catalogue_fingerprint, report::VARCHAR FROM pulls")}


ITEMS = [metadata("A", title="red card"), metadata("B", title="blue card"), metadata("C", title="green card")]
REVIEWS = [review("U1", "A"), review("U1", "B"), review("U2", "B"), review("U2", "C")]


def test_without_the_flag_it_is_refused_and_says_what_changed(tmp_path):
    pull_amazon(tmp_path, ITEMS, REVIEWS)
    before = catalogue(tmp_path)
    with pytest.raises(
        DataError, match=r"another pull: core was 0 and is 2; reviews\.json\.gz has other content \(\d+ bytes then, \d+ now\)\. .*--replace"
    ):
        pull_amazon(tmp_path, ITEMS, [*REVIEWS, review("U3", "A")], core=2)
    with pytest.raises(DataError, match=r"already holds amazon-2018, of another pull: this one is prepared"):
        pull_prepared(tmp_path, [(0, 0)])
    assert catalogue(tmp_path) == before


def test_other_columns_are_told_one_by_one_in_words(tmp_path):
    shop = own_folders.write(tmp_path / "shop", items="sku,title,name\na,Apple,Pomme\nb,Bread,Pain\n", interactions="user,sku,n\nu,a,1\nu,b,2\n")
    own_folders.pull(tmp_path, shop)
    with pytest.raises(DataError) as told:
        own_folders.pull(tmp_path, shop, said=("title=name,description=title", "rating=n"))
    assert (
        "another pull: columns of items: title was title and is name; columns of items: description was not set and is title; "
        "columns of interactions: rating was not set and is n. To take"
    ) in str(told.value)
    assert "{" not in str(told.value)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ([], ["visual", "text"], ["features was none and is visual, text"]),
        (None, {"images": "/a", "audio": "/b"}, ["features: images was not set and is /a", "features: audio was not set and is /b"]),
        ({"item_id": "x", "item_key": None}, {"item_id": "x", "item_key": "y"}, ["features: item key was not set and is y"]),
        (1, 1, []),
    ],
)
def test_settings_within_settings_are_told_in_words(before, now, words):
    assert replacing._told("features", before, now) == words


def test_the_catalogue_is_that_of_a_fresh_pull(tmp_path):
    (tmp_path / "fresh").mkdir()
    changed = [metadata("A", title="red card"), metadata("AA", title="new"), metadata("C", title="other")]
    reviews = [review("U9", "A"), review("U9", "AA"), review("U2", "C"), review("U2", "C", seconds=1)]
    pull_amazon(tmp_path, ITEMS, REVIEWS)
    report = pull_amazon(tmp_path, changed, reviews, replace=True)
    assert report.changed
    fresh = pull_amazon(tmp_path / "fresh", changed, reviews)
    assert catalogue(tmp_path) == catalogue(tmp_path / "fresh")
    assert report.steps.equals(fresh.steps)
    assert not pull_amazon(tmp_path, changed, reviews, replace=True).changed


def test_text_vectors_stay_where_the_text_is_the_same_whatever_the_number_of_its_item(tmp_path):
    pull_amazon(tmp_path, ITEMS, REVIEWS)
    embed(tmp_path, Modality.TEXT, "hashed-ngrams")
    before = vectors(tmp_path, "text")
    changed = [metadata("0", title="first of all"), metadata("A", title="red card"), metadata("B", title="BLUE"), metadata("C", title="green card")]
    report = pull_amazon(tmp_path, changed, [*REVIEWS, review("U1", "0")], replace=True)
    assert report.notes == ("text by hashed-ngrams: 2 of 3 vectors are of content that is still there, and stay.",)
    assert vectors(tmp_path, "text") == {key: before[key] for key in ("A", "C")}
    assert broken(tmp_path) == []
    assert embed(tmp_path, Modality.TEXT, "hashed-ngrams").n_embedded_now == 2
    assert set(vectors(tmp_path, "text")) == {"0", "A", "B", "C"}
    assert vectors(tmp_path, "text")["A"] == before["A"]


def test_text_of_columns_without_an_asset_of_their_own_stays_too(tmp_path):
    pull_amazon(tmp_path, [metadata("A", title="", brand="Acme")], [review("U1", "A")])
    embed(tmp_path, Modality.TEXT, "hashed-ngrams", fields=("brand",))
    pull_amazon(tmp_path, [metadata("A", title="", brand="Acme")], [review("U2", "A")], replace=True)
    assert list(vectors(tmp_path, "text")) == ["A"]
    assert broken(tmp_path) == []


@pytest.fixture
def media(tmp_path) -> Path:
    for at, name in enumerate("ABC"):
        (tmp_path / "media" / "images").mkdir(parents=True, exist_ok=True)
        write_picture(tmp_path / "media" / "images" / f"{name}.png", gradient(8 + at, 9))
    return tmp_path / "media"


def test_a_picture_that_changed_is_embedded_again_and_the_others_stay(tmp_path, media):
    pull_amazon(tmp_path, ITEMS, REVIEWS, media=media)
    embed(tmp_path, Modality.VISUAL, "colour-layout")
    before = vectors(tmp_path, "visual")
    write_picture(media / "images" / "B.png", np.full((9, 9), 200, dtype=np.uint8))
    report = pull_amazon(tmp_path, ITEMS, REVIEWS, media=media, replace=True)
    assert report.notes == ("visual by colour-layout: 2 of 3 vectors are of content that is still there, and stay.",)
    assert vectors(tmp_path, "visual") == {key: before[key] for key in ("A", "C")}
    assert broken(tmp_path) == []
    assert embed(tmp_path, Modality.VISUAL, "colour-layout").n_embedded_now == 1
    assert vectors(tmp_path, "visual")["B"] != before["B"]


def test_the_mean_of_several_pictures_is_that_of_the_pictures_that_stayed(tmp_path, media):
    for name, colour in (("A.gif", 10), ("B.gif", 90), ("B.jpg", 160)):
        write_picture(media / "images" / name, np.full((9, 9), colour, dtype=np.uint8))
    pull_amazon(tmp_path, ITEMS, REVIEWS, media=media)
    embed(tmp_path, Modality.VISUAL, "colour-layout")
    before = vectors(tmp_path, "visual")
    assert table(tmp_path, "SELECT item_idx, n FROM item_means ORDER BY ALL") == [(0, 2), (1, 3)]
    one_of_b = table(tmp_path, "SELECT vector FROM vectors_1 JOIN feature_rows USING (content_sha256) WHERE item_idx = 1 AND position IN (1, 2)")
    write_picture(media / "images" / "B.gif", np.full((9, 9), 200, dtype=np.uint8))
    pull_amazon(tmp_path, [metadata("0", title="first of all"), *ITEMS], [*REVIEWS, review("U1", "0")], media=media, replace=True)
    assert table(tmp_path, "SELECT item_idx, n FROM item_means ORDER BY ALL") == [(1, 2), (2, 2)]
    after = vectors(tmp_path, "visual")
    assert after["A"] == before["A"]
    assert after["C"] == before["C"]
    assert np.allclose(after["B"], np.mean([vector for (vector,) in one_of_b], axis=0), atol=1e-6)
    assert broken(tmp_path) == []
    embed(tmp_path, Modality.VISUAL, "colour-layout")
    assert table(tmp_path, "SELECT item_idx, n FROM item_means ORDER BY ALL") == [(1, 2), (2, 3)]
    assert broken(tmp_path) == []


def test_where_the_first_picture_stands_for_an_item_one_does_so_after_a_replacement_too(tmp_path, media):
    """The second picture of A is also the first of B, so both contents of A have a vector."""
    images = media / "images"
    write_picture(images / "A.gif", np.full((9, 9), 10, dtype=np.uint8))
    (images / "B.gif").write_bytes((images / "A.png").read_bytes())
    rows = "SELECT item_idx, position FROM feature_rows ORDER BY ALL"
    pull_amazon(tmp_path, ITEMS, REVIEWS, media=media)
    embed(tmp_path, Modality.VISUAL, "colour-layout", several=Several.FIRST)
    assert table(tmp_path, rows) == [(0, 0), (1, 0), (2, 0)]
    before = vectors(tmp_path, "visual")
    write_picture(images / "A.gif", np.full((9, 9), 250, dtype=np.uint8))
    pull_amazon(tmp_path, ITEMS, REVIEWS, media=media, replace=True)
    assert table(tmp_path, rows) == [(0, 1), (1, 0), (2, 0)]
    assert vectors(tmp_path, "visual") == before | {"A": before["B"]}
    assert broken(tmp_path) == []
    assert embed(tmp_path, Modality.VISUAL, "colour-layout", several=Several.FIRST).n_embedded_now == 1
    assert table(tmp_path, rows) == [(0, 0), (1, 0), (2, 0)]
    assert {key: value for key, value in vectors(tmp_path, "visual").items() if key != "A"} == {key: before[key] for key in "BC"}
    assert vectors(tmp_path, "visual")["A"] not in before.values()
    assert broken(tmp_path) == []


def test_splits_go_and_are_named(tmp_path):
    pairs = [(user, item) for user in range(8) for item in range(20)]
    pull_prepared(tmp_path, pairs, features={Modality.VISUAL: write_vectors(tmp_path / "v.npy", [[1.0 + n, 2.0] for n in range(20)])})
    splits.build(tmp_path / "s.duckdb", setting=Setting.FTFT, seed=0)
    features = {Modality.VISUAL: write_vectors(tmp_path / "v.npy", [[1.0 + n, 3.0] for n in range(20)])}
    report = pull_prepared(tmp_path, pairs, features=features, replace=True)
    assert report.notes == ("Splits drawn from the catalogue before were dropped: ftft-0. Build them again.",)
    assert table(tmp_path, "SELECT count(*) FROM splits UNION ALL SELECT count(*) FROM split_items") == [(0,), (0,)]
    assert set(vectors(tmp_path, "visual").values()) == {(1.0 + n, 3.0) for n in range(20)}
    assert table(tmp_path, "SELECT count(*) FROM feature_sets") == [(1,)]


def test_imported_vectors_that_come_again_are_there_once_and_those_that_do_not_are_gone(tmp_path):
    interactions = write_inter(tmp_path / "toy.inter", [(0, 0), (0, 1)])
    features = {Modality.VISUAL: write_vectors(tmp_path / "v.npy", [[1, 2], [3, 4]]), Modality.AUDIO: write_vectors(tmp_path / "a.npy", [[5], [6]])}
    pull_files(tmp_path, interactions, features=features)
    pull_files(tmp_path, write_inter(tmp_path / "toy.inter", [(1, 0), (0, 1)]), features={Modality.VISUAL: features[Modality.VISUAL]}, replace=True)
    assert vectors(tmp_path, "visual") == {"0": (1.0, 2.0), "1": (3.0, 4.0)}
    assert vectors(tmp_path, "audio") == {}
    assert table(tmp_path, "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'vectors_%'") == [("vectors_1",)]
    assert broken(tmp_path) == []


def test_a_failed_replacement_leaves_the_store_as_it_was(tmp_path):
    pull_amazon(tmp_path, ITEMS, REVIEWS)
    embed(tmp_path, Modality.TEXT, "hashed-ngrams")
    before, had = catalogue(tmp_path), vectors(tmp_path, "text")
    with pytest.raises(DataError, match="No interaction is left"):
        pull_amazon(tmp_path, ITEMS, REVIEWS, core=50, replace=True)
    assert (catalogue(tmp_path), vectors(tmp_path, "text")) == (before, had)
