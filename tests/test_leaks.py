"""Nothing that is known of new items reaches what a model is made of. Each way it could is planted, and seen; the real one is clean.

What is new is made different: its vectors become enormous, its interactions are other ones. Whatever comes out of training must be the
same to the bit, since none of it may have been looked at.
"""

from dataclasses import replace

import numpy as np
import planted
import pytest
import torch
from media_samples import gradient, write_picture
from small_catalogue import query, violations, write_catalogue

from milkprep import splits
from milkprep.extract import extract
from milkprep.extractors import colour_layout, hashed_ngrams
from milktrain import bundle, config, recipe, sampling
from milktrain.imputation._items import Items
from schemas.contracts import Modality, Part, Setting
from schemas.reporting import Silent
from schemas.store import Store

SPLIT = "mtmt-0"
#: One look at validation, after the last epoch: which state is best does not depend on it.
CHANGES = {"dim": "4", "batch_size": "256", "max_epochs": "2", "evaluate_every": "2", "neighbours": "3", "pca_width": "3"}
#: What stands in for missing vectors, and how they are scaled; in all of these something is fitted.
FITTED = [("mean", "row_l2"), ("learned_map", "none"), ("nearest", "row_l2"), ("token", "row_l2"), ("zero", "standardise"), ("zero", "pca_row_l2")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("leaks") / "planted.duckdb", n_users=30, n_items=80, per_user=12)
    splits.build(path, setting=Setting.MTMT, seed=0)
    return path


def settings(**changes: str) -> config.TrainConfig:
    return config.load(changes=CHANGES | changes)


def otherwise(data: bundle.Bundle) -> bundle.Bundle:
    """The same training items and interactions, and all that is new another way."""
    features = []
    for m, matrix in enumerate(data.features):
        new = data.new_items[data.available[data.new_items, m]]
        features.append(matrix.index_fill(0, new, 1e3))
    pairs = {part: data.pairs[part] if part is Part.TRAIN else data.pairs[part].flip(0)[: len(data.pairs[part]) // 2] for part in Part}
    for part in (Part.VAL, Part.TEST):  # of other users, too
        pairs[part] = torch.stack([(pairs[part][:, 0] + 1) % data.n_users, pairs[part][:, 1]], dim=1)
    return replace(data, features=tuple(features), pairs=pairs)


def depends_on_new_items(store, folder, monkeypatch, *, leak=lambda data: data, **changes: str) -> bool:
    """Whether training ends with other weights where what is new is another; `leak` is what training is given in place of a split."""
    really_read, weights = bundle.read, []
    for name, changed in (("as it is", lambda data: data), ("otherwise", otherwise)):
        with monkeypatch.context() as patch:
            patch.setattr(bundle, "read", lambda *args, changed=changed, **options: leak(changed(really_read(*args, **options))))
            run = recipe.train(store, split=SPLIT, config=settings(**changes), runs_folder=folder / name, reporter=Silent())
        weights.append((run.folder / "model.safetensors").read_bytes())
    return weights[0] != weights[1]


@pytest.mark.parametrize(("imputation", "preprocessing"), FITTED)
def test_weights_do_not_depend_on_new_items_whatever_is_fitted(store, tmp_path, monkeypatch, imputation, preprocessing):
    assert not depends_on_new_items(store, tmp_path, monkeypatch, imputation=imputation, preprocessing=preprocessing)


@pytest.mark.parametrize(("imputation", "preprocessing"), FITTED)
def test_new_items_in_what_is_fitted_are_seen(store, tmp_path, monkeypatch, imputation, preprocessing):
    """The mean, the learned map, the neighbours, the token, the columns' statistics, and the axes: fitted on all that have the modality."""
    monkeypatch.setattr(Items, "observed", lambda items, m: items.available[:, m])
    assert depends_on_new_items(store, tmp_path, monkeypatch, imputation=imputation, preprocessing=preprocessing)


def test_new_items_in_negatives_are_seen(store, tmp_path, monkeypatch):
    assert depends_on_new_items(store, tmp_path, monkeypatch, negatives="all")


def test_validation_positives_in_training_are_seen(store, tmp_path, monkeypatch):
    def leaking(data):
        return replace(data, pairs=data.pairs | {Part.TRAIN: torch.cat([data.pairs[Part.TRAIN], data.pairs[Part.VAL]])})

    assert depends_on_new_items(store, tmp_path, monkeypatch, leak=leaking)


def drawn(data: bundle.Bundle, **changes: str) -> set[int]:
    """Items that come up as negatives in many epochs."""
    train, candidates = data.pairs[Part.TRAIN], recipe.negative_candidates(data, settings(**changes))
    sampler, generator = sampling.negatives(train, candidates=candidates, n_items=data.n_items), torch.Generator().manual_seed(0)
    return {
        item for _ in range(5) for batch in sampling.epoch(train, sampler, batch_size=256, generator=generator) for item in batch.negatives.tolist()
    }


def test_negatives_are_training_items_and_all_items_only_where_that_is_asked_for(store):
    data = bundle.read(store, split=SPLIT)
    assert drawn(data) == set(data.items[Part.TRAIN].tolist())
    assert drawn(data, negatives="all") == set(range(80))  # the authors' leak
    assert [config.load(preset).negatives for preset in config.presets()] == ["train", "train", "all"]  # of `published` alone


def strangers(data: bundle.Bundle) -> dict[str, int]:
    """Positives of each part that are not items of it, and items that are in two parts."""
    found = {part.value: int((~torch.isin(data.pairs[part][:, 1], data.items[part])).sum()) for part in Part}
    everything = torch.cat([data.items[part] for part in Part])
    return {name: n for name, n in (found | {"twice": len(everything) - len(everything.unique())}).items() if n}


def test_positives_of_validation_are_none_of_test_nor_of_training(store):
    data = bundle.read(store, split=SPLIT)
    assert strangers(data) == {}
    for part in (Part.TEST, Part.TRAIN):
        leaking = replace(data, pairs=data.pairs | {part: torch.cat([data.pairs[part], data.pairs[Part.VAL]])})
        assert strangers(leaking) == {part.value: len(data.pairs[Part.VAL])}


@pytest.mark.parametrize("part", ["test", "train"])
def test_a_validation_item_that_is_one_of_another_part_too_breaks_a_rule_of_the_store(store, tmp_path, part):
    assert violations(store) == {}
    path = tmp_path / "leaking.duckdb"
    path.write_bytes(store.read_bytes())
    with Store(path, mode="update") as opened:
        opened.run(
            "INSERT INTO split_items SELECT split_id, item_idx, $part FROM split_items WHERE part = 'val' ORDER BY item_idx LIMIT 1", part=part
        )
    assert list(violations(path)) == ["every_split_item_has_one_part"]
    assert strangers(bundle.read(path, split=SPLIT))["twice"] == 1


def vectors(path, modality: Modality, encoder: str) -> np.ndarray:
    extract(path, modality=modality, encoder=encoder, workers=1, reporter=Silent())
    return np.array([vector for (vector,) in query(path, f"SELECT vector FROM features_{modality} ORDER BY item_idx")])


def vectors_of_others_change(folder, modality: Modality, encoder: str) -> bool:
    """Whether what six items have becomes another vector where two new ones have something else."""
    found = []
    for name, shift in (("as it is", 0), ("otherwise", 50)):
        (folder / name).mkdir()
        texts = [(f"word{n + shift * (n >= 6)} and more", None) for n in range(8)]
        files = {n: [write_picture(folder / name / f"{n}.png", np.roll(gradient(), 5 * n + shift * (n >= 6), axis=1))] for n in range(8)}
        path = write_catalogue(folder / name / "s.duckdb", texts, files={Modality.VISUAL: files})
        found.append(vectors(path, modality, encoder))
    assert not np.array_equal(found[0][6:], found[1][6:])
    return not np.array_equal(found[0][:6], found[1][:6])


ENCODERS = [(Modality.TEXT, "hashed-ngrams", hashed_ngrams.HashedNgrams), (Modality.VISUAL, "colour-layout", colour_layout.ColourLayout)]


@pytest.mark.parametrize(("modality", "encoder", "kind"), ENCODERS)
def test_vectors_depend_on_no_other_item_and_one_that_learns_from_all_is_seen(tmp_path, monkeypatch, modality, encoder, kind):
    """What was trained before must not have been trained on what is new; here encoders that centre whatever they are given."""
    for name in ("real", "leaking"):
        (tmp_path / name).mkdir()
    assert not vectors_of_others_change(tmp_path / "real", modality, encoder)
    encode = kind.encode
    monkeypatch.setattr(kind, "encode", lambda self, batch: encode(self, batch) - encode(self, batch).mean(axis=0) + 1)
    assert vectors_of_others_change(tmp_path / "leaking", modality, encoder)
