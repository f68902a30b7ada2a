"""Lists by a finished run: the right items in the right order, nothing the user had, and which modalities speak for each."""

import planted
import polars as pl
import pytest
import torch

from milkprep import splits
from milktrain import config, recipe
from milktrain.using import asking, likeness, new_items, recommending, trained
from milktrain.using.among import Among
from schemas.contracts import Modality, Part, Setting
from schemas.errors import BadValue, DataError, ShapeError, Stale
from schemas.new_items import NewItems, NewVectors
from schemas.reporting import Silent
from schemas.store import Store

QUICK = {"max_epochs": "12", "batch_size": "128", "learning_rate": "0.03", "dim": "16", "beta": "1"}
THEMES = 4


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The planted store; user u3 likes theme 3; two more items of themes 1 and 3 that nobody touched, and one that has nothing."""
    path = planted.fill(tmp_path_factory.mktemp("lists") / "planted.duckdb")
    with Store(path, mode="write") as store, store.transaction():
        store.run("INSERT INTO items VALUES (120, 'late1', 'Late one', NULL, NULL, [], true), (121, 'late3', NULL, NULL, NULL, [], true)")
        store.run("INSERT INTO items VALUES (122, 'bare', NULL, NULL, NULL, [], true)")
        store.run("INSERT INTO users VALUES (60, 'stranger')")
        for item, like in ((120, "item_idx = 1"), (121, "item_idx = 3 AND content_sha256 LIKE 'text%'")):
            rows = f"SELECT feature_set_id, {item} AS item_idx, position, content_sha256 FROM feature_rows WHERE {like}"
            store.run(f"INSERT INTO feature_rows BY NAME {rows}")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


def _run(path, model="milk", **changes):
    settings = config.load(changes=QUICK | changes)
    done = recipe.train(path, split="ftmt-0", config=settings, runs_folder=path.parent / "runs", reporter=Silent(), model=model, again=False)
    return trained.open_run(done.folder)


@pytest.fixture(scope="module")
def run(path):
    return _run(path)


def _theme(key):
    return {"late1": 1, "late3": 3}.get(key, int(key.removeprefix("i")) % THEMES if key.startswith("i") else None)


def test_new_items_of_the_users_theme_come_first(run):
    found = recommending.recommend(run, "u3", k=7)
    assert found.items["rank"].to_list() == [1, 2, 3, 4, 5, 6, 7]
    assert {_theme(key) for key in found.items["item"]} == {3}
    assert found.items["score"].is_sorted(descending=True)
    assert set(found.items["part"]) <= {"val", "test", "untouched"}


def test_the_list_is_the_ranking_that_evaluation_makes(run):
    data = run.data()
    scorer = run.ready(run.data()).scorer
    judged = recipe.ranking.rank(scorer, pairs=data.pairs[Part.TEST], candidates=data.new_items, k=10)
    row = judged.users.tolist().index(3)
    expected = [data.item_keys[i] for i in judged.top[row].tolist()]
    found = recommending.recommend(run, "u3", k=30).items.filter(pl.col("part").is_in(["val", "test"]))["item"].to_list()
    assert found[:10] == expected


def test_what_the_user_had_in_training_is_never_listed_and_counted(run):
    data = run.data()
    had = {data.item_keys[i] for i in asking.pairs_of(3, data, parts=[Part.TRAIN]).tolist()}
    found = recommending.recommend(run, "u3", k=200, among=Among.ALL)
    assert not had & set(found.items["item"])
    assert found.n_masked == len(had) == found.n_training
    assert found.items.height == found.n_candidates == 122 - len(had)


def test_a_list_says_what_speaks_for_an_item_what_it_lacks_and_what_the_split_takes(run):
    data = run.data()
    rows = {row["item"]: row for row in recommending.recommend(run, "u3", k=200, among=Among.ALL).items.to_dicts()}
    assert rows["late3"]["used"] == ["text"]
    assert rows["late3"]["missing"] == ["visual", "audio"]
    assert rows["late1"]["title"] == "Late one"
    lost = data.item_keys[int((data.present & ~data.available).any(dim=1).nonzero()[0])]
    assert len(rows[lost]["lost"]) == 1
    assert sorted(rows[lost]["used"] + rows[lost]["lost"]) == ["audio", "text", "visual"]
    later = {data.item_keys[i] for i in asking.pairs_of(3, data, parts=[Part.VAL, Part.TEST]).tolist()}
    assert {key for key, row in rows.items() if row["had"]} == later


def test_an_item_of_which_nothing_is_known_is_left_out_and_counted(run):
    found = recommending.recommend(run, "u3", k=200)
    assert "bare" not in found.items["item"]
    assert found.n_without == 1


def test_a_user_without_training_is_told_to_be_one(run):
    assert recommending.recommend(run, "stranger").n_training == 0


@pytest.mark.parametrize(("user", "says"), [("u33x", "Did you mean 'u33'"), ("*", "Keys look like 'u0', 'u1', 'u2'")])
def test_a_user_who_is_not_there_is_answered_with_a_hint(run, user, says):
    with pytest.raises(DataError, match=f"knows no user .* of its 61. {says}"):
        recommending.recommend(run, user)


def test_a_list_of_no_length_is_refused(run):
    with pytest.raises(BadValue, match="a list has 1 item or more"):
        recommending.recommend(run, "u3", k=0)


def test_popularity_lists_what_is_popular_and_is_the_same_for_all_but_what_they_had(path):
    popular = _run(path, model="popularity")
    data = popular.data()
    counts = torch.bincount(data.pairs[Part.TRAIN][:, 1], minlength=data.n_items)
    found = recommending.recommend(popular, "stranger", k=5, among=Among.ALL)
    assert found.items["score"].to_list() == [float(n) for n in counts.sort(descending=True).values[:5]]
    assert recommending.recommend(popular, "u3", k=5).items["score"].to_list() == [0.0] * 5


def test_items_near_an_item_are_of_its_theme_and_their_cosine_is_that_of_their_places(run):
    found = likeness.similar(run, "i7", k=20)
    assert "i7" not in found.items["item"]
    assert {_theme(key) for key in found.items["item"]} == {3}
    ready = run.catalogue
    keys = list(ready.data.item_keys)
    ids = torch.tensor([keys.index(key) for key in found.items["item"]])
    with torch.inference_mode():
        cosines = torch.cosine_similarity(ready.model.places(torch.tensor([7])), ready.model.places(ids))
    assert found.items["cosine"].to_list() == pytest.approx(cosines.tolist(), abs=1e-6)
    assert found.items["cosine"].is_sorted(descending=True)


def test_items_near_an_item_can_be_those_that_training_did_not_see(run):
    found = likeness.similar(run, "i7", k=5, among=Among.NEW)
    assert set(found.items["part"]) <= {"val", "test", "untouched"}
    assert found.n_without == 1


@pytest.mark.parametrize(("item", "says"), [("i999", "knows no item 'i999'.*Did you mean"), ("bare", "the model knows nothing of it")])
def test_an_item_that_is_not_there_or_has_nothing_is_near_none(run, item, says):
    with pytest.raises(DataError, match=says):
        likeness.similar(run, item)


def test_a_model_that_puts_items_nowhere_says_so(path):
    with pytest.raises(DataError, match="of popularity, which puts items nowhere"):
        likeness.similar(_run(path, model="popularity"), "i7")


def _given(run, rows):
    """New items made of the store's own features: key -> (item, modalities it has)."""
    data = run.data(untouched=True)
    vectors = {}
    for m, each in enumerate(data.feature_sets):
        nothing = torch.full((planted.WIDTH,), torch.nan)
        matrix = torch.stack([data.features[m][item] if each.modality.value in has else nothing for item, has in rows.values()])
        reasons = [None if each.modality.value in has else f"no {each.modality}" for _, has in rows.values()]
        vectors[each.modality] = NewVectors(each.fingerprint, matrix.numpy(), reasons)
    return NewItems(list(rows), [None] * len(rows), vectors)


ALL = ("visual", "text", "audio")


@pytest.mark.parametrize("imputation", ["learned_map", "nearest", "token"])
def test_an_item_given_anew_scores_as_the_one_in_the_store_whatever_it_lacks(path, imputation):
    run = _run(path, imputation=imputation, max_epochs="1")
    found = new_items.recommend_new(run, "u3", _given(run, {"again": (5, ALL), "half": (3, ("text",))}), k=2)
    scores = dict(zip(found.items["item"], found.items["score"], strict=True))
    stored = {row["item"]: row["score"] for row in recommending.recommend(run, "u3", k=200, among=Among.ALL).items.to_dicts()}
    ready = run.catalogue
    assert scores["again"] == pytest.approx(float(recommending.scores_of(3, torch.tensor([5]), ready.scorer)), abs=1e-6)
    assert scores["half"] == pytest.approx(stored["late3"], abs=1e-6)  # which has the text of item 3, and nothing else


def test_new_items_are_ranked_with_reasons_and_those_that_have_nothing_come_last_without_a_score(run):
    new = _given(run, {"z": (5, ALL), "a": (7, ("text", "audio")), "n": (7, ())})
    found = new_items.recommend_new(run, "u3", new, k=10)
    assert found.items["item"].to_list() == ["a", "z", "n"]
    assert found.items["rank"].to_list() == [1, 2, None]
    assert found.items.row(0, named=True)["missing"] == ["visual"]
    assert found.items.row(0, named=True)["reasons"] == ["no visual"]
    assert found.items.row(2, named=True)["score"] is None
    assert (found.n_given, found.n_without) == (3, 1)
    scores = recommending.recommend(run, "u3", k=200).items["score"]
    assert found.items["above"][0] == pytest.approx((scores < found.items["score"][0]).mean())


def test_a_shorter_list_keeps_what_has_no_score(run):
    found = new_items.recommend_new(run, "u3", _given(run, {"z": (5, ALL), "a": (7, ALL), "n": (7, ())}), k=1)
    assert found.items["item"].to_list() == ["a", "n"]


def test_a_key_that_the_catalogue_has_is_named_with_its_part(run):
    data = run.data()
    trained_on = data.item_keys[int(asking.pairs_of(3, data, parts=[Part.TRAIN])[0])]
    found = new_items.recommend_new(run, "u3", _given(run, {trained_on: (5, ALL), "x": (7, ALL)})).items
    assert {row["item"]: (row["catalogue"], row["had"]) for row in found.to_dicts()} == {trained_on: ("train", True), "x": (None, False)}


def test_vectors_of_another_encoder_or_width_are_refused(run):
    new = _given(run, {"z": (5, ALL)})
    matrix = new.vectors[Modality.TEXT].matrix
    with pytest.raises(Stale, match="text vectors are of another encoder"):
        new_items.recommend_new(run, "u3", NewItems(["z"], [None], {Modality.TEXT: NewVectors("f", matrix, [None])}))
    fingerprint = new.vectors[Modality.TEXT].fingerprint
    with pytest.raises(ShapeError, match="8 wide"):
        new_items.recommend_new(run, "u3", NewItems(["z"], [None], {Modality.TEXT: NewVectors(fingerprint, matrix[:, :4], [None])}))


def test_a_model_that_looks_at_no_content_scores_no_new_item(path):
    popular = _run(path, model="popularity")
    with pytest.raises(DataError, match="knows nothing of items but their numbers"):
        new_items.recommend_new(popular, "u3", _given(popular, {"z": (5, ALL)}))
