"""What every model promises: losses, gradients, scores by content, states that survive; one suite for all of them."""

from dataclasses import replace

import numpy as np
import planted
import pytest
import small_tasks
import torch
from small_tasks import BARE, N_ITEMS, N_TRAIN, N_USERS
from torch import nn

import milktrain
from milkprep import splits
from milktrain import config, listing, model_settings, recipe
from milktrain.config import TrainConfig
from milktrain.model_settings import MODELS
from milktrain.recommender import Collaborative
from schemas import plugins
from schemas.contracts import Setting
from schemas.errors import BadValue
from schemas.reporting import Silent

NAMES = plugins.names(MODELS)
NEW = torch.arange(N_TRAIN, N_ITEMS)
#: Small and quick for the planted store; what models are about does not depend on it.
QUICK = {"dim": "16", "batch_size": "128", "max_epochs": "45", "evaluate_every": "5", "patience": "30", "learning_rate": "0.01"}


def _learns(name):
    return isinstance(plugins.load(MODELS, name).build(small_tasks.task(name), small_tasks.settings(name), generator=torch.Generator()), nn.Module)


LEARNING = [name for name in NAMES if _learns(name)]
RANKS_BY_CONTENT = [name for name in NAMES if name not in ("popularity", "random-order")]
KNOWS_TASTES = [name for name in RANKS_BY_CONTENT if name != "content-popularity"]  # which has one list for everybody


def _trained(name, *, epochs=2, given=None):
    given = given or small_tasks.task(name)
    model = small_tasks.build(name, given)
    small_tasks.train(model, given, name, epochs=epochs)
    return model


def test_there_are_the_models_of_the_comparison():
    assert {"milk", "duif", "popularity", "random-order"} <= set(NAMES)
    assert set(NAMES) - set(LEARNING) == {"popularity", "random-order", "content-knn", "content-popularity"}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_says_what_it_is_and_names_its_settings_apart_from_those_all_share(name):
    listed = {each.name: each for each in listing.models()}[name]
    assert len(listed.what) > 20
    own = model_settings.of(name)
    assert not set(own.model_fields) & set(TrainConfig.model_fields)
    assert all(field.description and not field.is_required() for field in own.model_fields.values())
    assert {each.name for each in listing.settings(name)} >= set(own.model_fields)
    for setting, table in (model_settings.space(name) or {}).items():
        values = table.get("choices") or [table["low"], table["high"]]
        for value in values:
            assert config.value(config.load(model=name, changes={setting: str(value).lower()}), setting) == value


@pytest.mark.parametrize("name", [name for name in NAMES if name != "milk"])
def test_settings_that_a_model_has_no_use_for_are_refused(name):
    assert model_settings.idle(name) <= set(TrainConfig.model_fields)
    assert not model_settings.idle(name) & (set(model_settings.usual(name)) | set(model_settings.space(name) or {})) - {"reg"}
    for setting in sorted(model_settings.idle(name)):
        with pytest.raises(BadValue, match=f"{setting}: {name} has no use for it"):
            config.load(model=name, changes={setting: "3"})
    with pytest.raises(BadValue, match="part of milk"):
        config.load(model=name, changes={"imputation": "average_present"})


@pytest.mark.parametrize("name", LEARNING)
def test_losses_are_finite_and_told_by_part(name):
    given = small_tasks.task(name)
    losses = small_tasks.train(small_tasks.build(name, given), given, name, epochs=5)
    assert all(np.isfinite(list(row.values())).all() for row in losses)
    assert {"loss"} < set(losses[0])


@pytest.mark.parametrize("name", LEARNING)
def test_training_moves_every_parameter(name):
    given = small_tasks.task(name)
    model = small_tasks.build(name, given)
    before = {label: parameter.detach().clone() for label, parameter in model.named_parameters()}
    small_tasks.train(model, given, name, epochs=3)
    still = [label for label, parameter in model.named_parameters() if torch.equal(parameter, before[label])]
    assert not still
    assert before


@pytest.mark.parametrize("name", LEARNING)
def test_content_of_new_items_is_in_no_loss(name):
    """Planted: what new items have is no number at all. Whatever looks at it shows."""
    given = small_tasks.task(name)
    poisoned = small_tasks.with_content(given, NEW, torch.nan)
    clean, other = small_tasks.build(name, given), small_tasks.build(name, poisoned)
    assert small_tasks.train(clean, given, name, epochs=2) == small_tasks.train(other, poisoned, name, epochs=2)
    states = clean.state_dict(), other.state_dict()
    assert all(torch.equal(states[0][label], states[1][label]) for label in states[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_training_item_that_nobody_interacted_with_is_as_a_new_one(name):
    """Planted, as splits that came with their dataset may have it: whether it is called a training item changes no number of anything."""
    given, idle = small_tasks.task(name), 7
    kept = given.train[given.train[:, 1] != idle]
    assert len(kept) < len(given.train)
    vectors = given.collaborative and Collaborative(given.collaborative.users, given.collaborative.items.index_fill(0, torch.tensor([idle]), 0.0))
    given = replace(given, train=kept, collaborative=vectors)
    is_train = given.content.is_train.index_fill(0, torch.tensor([idle]), False)
    new = replace(given, content=replace(given.content, is_train=is_train))
    one, other = _scorer(name, given), _scorer(name, new)
    assert torch.equal(small_tasks.scores(one), small_tasks.scores(other))
    if name in LEARNING:
        states = one.state_dict(), other.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][label], states[1][label]) for label in states[0])


@pytest.mark.parametrize("name", LEARNING)
def test_nothing_is_drawn_from_global_generators(name):
    given, found = small_tasks.task(name), []
    for seed in (0, 99):
        torch.manual_seed(seed)
        np.random.seed(seed)
        found.append(small_tasks.scores(_trained(name, given=given)))
    assert torch.equal(*found)


@pytest.mark.parametrize("name", LEARNING)
def test_two_threads_add_gradients_as_one_does(name):
    """Wide enough that torch shares the work: a gradient that is added in the order in which threads come differs from run to run."""
    given, found = small_tasks.task(name), []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(2):
            model = small_tasks.build(name, given, dim="2048" if name in ("vbpr", "mtpr") else "512")
            small_tasks.train(model, given, name, epochs=1)
            found.append(model.state_dict())
    finally:
        torch.set_num_threads(before)
    assert [label for label in found[0] if not torch.equal(found[0][label], found[1][label])] == []


@pytest.mark.parametrize("name", LEARNING)
def test_a_state_has_no_row_for_new_items_and_fits_a_catalogue_that_grew(name):
    given = small_tasks.task(name)
    model = _trained(name, given=given)
    state = model.state_dict()
    assert not [label for label, tensor in state.items() if N_ITEMS in tensor.shape]
    grown = _grown(given, by=4)
    if grown.collaborative:  # a finished run is opened with zeros, what was learned lies in its state
        empty = Collaborative(torch.zeros_like(grown.collaborative.users), torch.zeros_like(grown.collaborative.items))
        grown = replace(grown, collaborative=empty)
    other = small_tasks.build(name, grown, seed=5).eval()
    other.load_state_dict(state)
    torch.testing.assert_close(small_tasks.scores(other), small_tasks.scores(model), rtol=0, atol=1e-6)
    assert torch.isfinite(small_tasks.scores(other, torch.arange(N_ITEMS, N_ITEMS + 4))).all()


def _grown(given, *, by):
    content = given.content
    features = tuple(torch.cat([matrix, nn.functional.normalize(torch.randn(by, matrix.shape[1]))]) for matrix in content.features)
    flags = torch.cat([content.available, torch.ones(by, content.available.shape[1], dtype=torch.bool)])
    is_train = torch.cat([content.is_train, torch.zeros(by, dtype=torch.bool)])
    vectors = given.collaborative
    if vectors:
        vectors = Collaborative(vectors.users, torch.cat([vectors.items, torch.zeros(by, vectors.items.shape[1])]))
    return replace(given, content=replace(content, features=features, available=flags, is_train=is_train), collaborative=vectors)


@pytest.mark.parametrize("name", [name for name in LEARNING if listing.needs_collaborative(name)])
def test_collaborative_vectors_are_not_trained(name):
    given = small_tasks.task(name)
    shape = given.collaborative.users.shape
    model = small_tasks.build(name, given)
    before = {label: buffer.clone() for label, buffer in model.named_buffers() if buffer.shape == shape}
    small_tasks.train(model, given, name, epochs=2)
    after = dict(model.named_buffers())
    assert before
    assert all(torch.equal(after[label], vectors) for label, vectors in before.items())
    assert not [parameter for parameter in model.parameters() if parameter.shape == shape]


@pytest.mark.parametrize("name", RANKS_BY_CONTENT)
def test_scores_do_not_depend_on_which_candidates_are_asked_for_together(name):
    model = _scorer(name)
    whole = small_tasks.scores(model)
    pieces = torch.cat([small_tasks.scores(model, part) for part in torch.arange(N_ITEMS).split([1, 30, N_ITEMS - 31])], dim=1)
    torch.testing.assert_close(pieces, whole, rtol=1e-5, atol=1e-6)
    few = model.ranker(torch.arange(N_ITEMS))(torch.tensor([3, 1]))
    torch.testing.assert_close(few.detach(), whole[[3, 1]], rtol=1e-5, atol=1e-6)


def _scorer(name, given=None, *, epochs=2):
    given = given or small_tasks.task(name)
    if name in LEARNING:
        return _trained(name, given=given, epochs=epochs)
    return plugins.load(MODELS, name).build(given, small_tasks.settings(name), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", RANKS_BY_CONTENT)
def test_the_score_of_a_new_item_is_of_its_content(name):
    given = small_tasks.task(name)
    twin, other = int(NEW[0]), int(NEW[5])
    same = small_tasks.with_content(given, torch.tensor([twin]), [matrix[other] for matrix in given.content.features])
    model = _scorer(name, same)
    found = small_tasks.scores(model)
    torch.testing.assert_close(found[:, twin], found[:, other], rtol=1e-5, atol=1e-6)
    changed = small_tasks.with_content(same, torch.tensor([twin]), [-matrix[other] for matrix in given.content.features])
    scored = small_tasks.scores(_scorer(name, changed))
    assert not torch.allclose(scored[:, twin], found[:, twin], atol=1e-5)
    rest = [item for item in range(N_ITEMS) if item != twin]
    torch.testing.assert_close(scored[:, rest], found[:, rest], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_missing_everything_still_gives_a_finite_score(name):
    found = small_tasks.scores(_scorer(name))
    assert found.shape == (N_USERS, N_ITEMS)
    assert torch.isfinite(found).all()
    assert torch.isfinite(found[:, list(BARE)]).all()


@pytest.mark.parametrize("name", RANKS_BY_CONTENT)
def test_permuting_items_permutes_scores(name):
    given = small_tasks.task(name)
    place = torch.randperm(N_ITEMS, generator=torch.Generator().manual_seed(3))  # old id at each new place
    new_id = place.argsort()
    content = given.content
    moved = replace(
        content, features=tuple(matrix[place] for matrix in content.features), available=content.available[place], is_train=content.is_train[place]
    )
    vectors = given.collaborative and Collaborative(given.collaborative.users, given.collaborative.items[place])
    pairs = torch.stack([given.train[:, 0], new_id[given.train[:, 1]]], dim=1)
    permuted = replace(given, content=moved, train=pairs, collaborative=vectors)
    model = _scorer(name, given)
    if name in LEARNING:
        among_training = given.content.is_train.long().cumsum(0)[place[moved.is_train]] - 1  # old row at each new row of tables of training items
        other = small_tasks.build(name, permuted).eval()
        state = {label: tensor[among_training] if N_TRAIN in tensor.shape[:1] else tensor for label, tensor in model.state_dict().items()}
        other.load_state_dict(state)
    else:
        other = _scorer(name, permuted)
    torch.testing.assert_close(small_tasks.scores(other), small_tasks.scores(model)[:, place], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("models") / "planted.duckdb", per_user=12)
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


class Interrupted(Exception):
    """Raised by a watcher to end a training where it is."""


def _run(path, folder, name, *, stop_at=None, **changes):
    def watch(row):
        if row["epoch"] == stop_at:
            raise Interrupted

    narrow = {"backbone_width": "16"} if listing.needs_collaborative(name) else {}
    chosen = config.load(model=name, changes=QUICK | narrow | changes)
    return recipe.train(
        path, split="ftmt-0", config=chosen, model=name, runs_folder=folder, reporter=Silent(), again=False, watch=watch, save_every_s=0.0
    )


@pytest.mark.parametrize("name", KNOWS_TASTES)
def test_planted_tastes_are_found_far_above_chance(path, tmp_path, name):
    by_chance = _run(path, tmp_path, "random-order").manifest["metrics"]["test"]["ndcg@10"]
    assert _run(path, tmp_path, name).manifest["metrics"]["test"]["ndcg@10"] > 1.6 * by_chance


@pytest.mark.parametrize("name", LEARNING)
def test_a_finished_run_opened_again_scores_as_it_did_and_an_interrupted_one_ends_as_if_left_alone(path, tmp_path, name):
    few = {"max_epochs": "6", "evaluate_every": "2"}
    alone = _run(path, tmp_path / "alone", name, **few)
    opened = milktrain.open_run(alone.folder, store=path)
    assert milktrain.evaluate(opened).reproduced is True
    with pytest.raises(Interrupted):
        _run(path, tmp_path / "cut", name, stop_at=3, **few)
    resumed = _run(path, tmp_path / "cut", name, **few)
    assert resumed.resumed_at >= 3
    assert (resumed.folder / "model.safetensors").read_bytes() == (alone.folder / "model.safetensors").read_bytes()
    assert resumed.manifest["metrics"] == alone.manifest["metrics"]
