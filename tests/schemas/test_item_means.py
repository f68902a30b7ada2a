"""Items with several contents: their mean is stored, is the right one, and is never shown when it no longer holds."""

from dataclasses import replace

import numpy as np
import pytest
from handmade import ENCODER, rows, vectors

from schemas import feature_sets, item_means
from schemas.contracts import Modality
from schemas.store import Store

PICTURES = {"p": [1.0, 2.0], "q": [3.0, -2.0], "r": [5.0, 9.0]}


def embed(store, contents, places, *, encoder=ENCODER):
    """Register, fill and finish a set of pictures."""
    made = feature_sets.register(store, Modality.VISUAL, encoder)
    with store.transaction():
        feature_sets.append_vectors(store, made, vectors(contents))
        feature_sets.append_rows(store, made, places)
    feature_sets.finish(store, made, n_failed=0, seconds=1.0)
    return made


def stored(store):
    return store.query("SELECT item_idx, n, vector FROM item_means ORDER BY feature_set_id, item_idx").rows()


def shown(store):
    return dict(store.query("SELECT item_key, vector::FLOAT[] FROM features_visual ORDER BY item_key").rows())


def test_finishing_stores_a_mean_for_items_with_several_contents_only(catalogue):
    embed(catalogue, PICTURES, rows((0, 0, "p"), (0, 1, "q"), (0, 2, "r"), (1, 0, "q"), (2, 0, "p"), (2, 1, "p")))
    assert stored(catalogue) == [(0, 3, [3.0, 3.0]), (2, 2, [1.0, 2.0])]
    assert shown(catalogue) == {"A": [3.0, 3.0], "B": [3.0, -2.0], "C": [1.0, 2.0]}


def test_the_stored_mean_is_what_the_view_reads(catalogue):
    embed(catalogue, PICTURES, rows((0, 0, "p"), (0, 1, "q")))
    catalogue.run("UPDATE item_means SET vector = [7, 7]")
    assert shown(catalogue) == {"A": [7.0, 7.0]}


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO feature_rows VALUES (1, 0, 2, 'r')",
        "UPDATE feature_rows SET content_sha256 = 'r' WHERE position = 1",
        "DELETE FROM feature_rows WHERE position = 1",
        "DELETE FROM item_means",
    ],
)
def test_a_mean_of_other_contents_is_not_shown_whoever_changed_the_rows(catalogue, change):
    embed(catalogue, PICTURES, rows((0, 0, "p"), (0, 1, "q")))
    catalogue.run("UPDATE item_means SET vector = [7, 7]")
    catalogue.run(change)
    now = catalogue.query("SELECT content_sha256 FROM feature_rows WHERE item_idx = 0")["content_sha256"].to_list()
    assert shown(catalogue) == {"A": np.mean([PICTURES[name] for name in now], axis=0).tolist()}


def test_rows_that_are_added_take_the_mean_away_until_the_set_is_finished_again(catalogue):
    made = embed(catalogue, PICTURES, rows((0, 0, "p"), (0, 1, "q"), (1, 0, "p"), (1, 1, "r")))
    feature_sets.append_rows(catalogue, made, rows((0, 2, "r")))
    assert stored(catalogue) == [(1, 2, [3.0, 5.5])]
    assert shown(catalogue)["A"] == [3.0, 3.0]
    feature_sets.finish(catalogue, made, n_failed=0, seconds=1.0)
    assert stored(catalogue) == [(0, 3, [3.0, 3.0]), (1, 2, [3.0, 5.5])]


def test_only_what_changed_is_computed_again(catalogue):
    made = embed(catalogue, PICTURES, rows((0, 0, "p"), (0, 1, "q"), (1, 0, "p"), (1, 1, "r")))
    catalogue.run("UPDATE item_means SET vector = [7, 7] WHERE item_idx = 0")
    catalogue.run("DELETE FROM feature_rows WHERE item_idx = 1 AND position = 1")
    feature_sets.append_rows(catalogue, made, rows((2, 0, "q"), (2, 1, "r")))
    assert item_means.refresh_inside(catalogue, made) == 1
    assert stored(catalogue) == [(0, 2, [7.0, 7.0]), (2, 2, [4.0, 3.5])]


def test_sets_of_other_widths_keep_means_side_by_side(catalogue):
    embed(catalogue, {"p": [1.0], "q": [2.0]}, rows((0, 0, "p"), (0, 1, "q")), encoder=replace(ENCODER, encoder="narrow", width=1))
    embed(catalogue, {"p": [1.0, 0, 0], "q": [2.0, 0, 4]}, rows((0, 0, "p"), (0, 1, "q")), encoder=replace(ENCODER, width=3))
    assert stored(catalogue) == [(0, 2, [1.5]), (0, 2, [1.5, 0.0, 2.0])]
    for number, mean in ((1, [1.5]), (2, [1.5, 0.0, 2.0])):
        found = feature_sets.by_id(catalogue, number)
        feature_sets.make_current_inside(catalogue, found)
        assert shown(catalogue) == {"A": mean}


def test_the_mean_does_not_depend_on_positions_chunks_or_the_order_of_writing(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    contents = {f"c{n}": (generator.normal(size=5) * 10.0 ** generator.integers(-4, 5)).tolist() for n in range(60)}
    several = [(item, position, f"c{generator.integers(60)}") for item in range(25) for position in range(int(generator.integers(1, 6)))]
    found = []
    for run, chunk in enumerate((4 * 5, 4 * 5 * 7, 1 << 20)):
        monkeypatch.setattr(item_means, "CHUNK_BYTES", chunk)
        with Store(tmp_path / f"{run}.duckdb", mode="write") as store:
            order = generator.permutation(len(several))
            made = embed(store, contents, rows(*(several[at] for at in order)), encoder=replace(ENCODER, width=5))
            assert item_means.refresh_inside(store, made) == 0
            found.append(stored(store))
    assert found[0] == found[1] == found[2]
    for item, n, mean in found[0]:
        mine = [contents[name] for of, _, name in several if of == item]
        assert len(mine) == n
        expected = np.asarray(mine, dtype=np.float32).astype(np.float64).mean(axis=0)
        assert np.allclose(mean, expected, rtol=1e-6, atol=0)
