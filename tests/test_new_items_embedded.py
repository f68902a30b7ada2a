"""Items that no store has, from a file to their scores: embedded as the run's own were, and whatever is wrong with them told."""

import json
import shutil
from dataclasses import replace

import numpy as np
import planted
import polars as pl
import pytest
import tiny_transformer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_samples import gradient, tone, write_picture, write_wav
from typer.testing import CliRunner

import cli
from milkprep import extract, extractors, newcomers, splits
from milkprep.encoder import EncoderOptions
from milkprep.newcomers import again
from milkprep.sources import folder
from milktrain import open_run, recommend, recommend_new, train
from schemas import feature_sets
from schemas.contracts import EncoderIdentity, FeatureSet, Modality, Setting
from schemas.errors import BadValue, SourceError, Stale
from schemas.reporting import Silent
from schemas.store import Store

ENCODERS = {Modality.VISUAL: "colour-layout", Modality.TEXT: "hashed-ngrams", Modality.AUDIO: "log-mel"}
QUICK = {"max_epochs": 2, "dim": 8, "batch_size": 256, "evaluate_every": 1}


WHOLE = 3  # an item that has everything


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a shop of 24 items with texts, most with pictures, some with sound."""
    shop = tmp_path_factory.mktemp("new-items") / "shop"
    for name in ("images", "audio"):
        (shop / name).mkdir(parents=True)
    (shop / "items.csv").write_text("item,title,description\n" + "".join(f"m{n},Mug {n % 5} &amp; {n},Holds {n} drops\n" for n in range(24)))
    (shop / "interactions.csv").write_text("user,item\n" + "".join(f"u{u},m{(u * 7 + n * n) % 24}\n" for u in range(12) for n in range(9)))
    for n in range(18):
        write_picture(shop / "images" / f"m{n}.png", np.roll(gradient(8, 9), n))
    for n in range(0, 24, 3):
        write_wav(shop / "audio" / f"m{n}.wav", tone(0.2, hz=100.0 + 20 * n))
    store = shop.parent / "shop.duckdb"
    folder.pull(store, folder=shop, reporter=Silent())
    for modality, encoder in ENCODERS.items():
        options = EncoderOptions(normalise=True) if modality is Modality.VISUAL else EncoderOptions()
        extract.extract(store, modality=modality, encoder=encoder, options=options, workers=1, reporter=Silent())
    splits.build(store, setting=Setting.FTFT, seed=0)
    return train(store, split="ftft-0", settings=QUICK)


def _written(tmp_path, lines, name="new.jsonl"):
    file = tmp_path / name
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


@pytest.fixture(scope="module")
def new(run, tmp_path_factory):
    """An item of the catalogue, its files beside it: whole as `whole`, then with less and less."""
    place = tmp_path_factory.mktemp("given")
    for kind, ending in (("images", "png"), ("audio", "wav")):
        shutil.copy(run.store.parent / "shop" / kind / f"m{WHOLE}.{ending}", place)
    text = {"title": f"Mug {WHOLE % 5} &amp; {WHOLE}", "description": f"Holds {WHOLE} drops"}
    media = {"image": [f"m{WHOLE}.png"], "audio": f"./m{WHOLE}.wav"}
    lines = [
        {"item": "whole", **text, **media}, {"item": "no text", **media}, {"item": "text only", **text},
        {"item": "sound only", "audio": f"m{WHOLE}.wav"}, {"item": "bare"},
    ]  # fmt: skip
    return newcomers.embed(_written(place, lines), run.feature_sets)


def test_an_item_of_the_catalogue_given_anew_has_its_vectors_and_its_score(run, new):
    key = f"m{WHOLE}"
    data = run.data(untouched=True)
    for m, each in enumerate(data.feature_sets):
        whole = new.vectors[each.modality].matrix[new.keys.index("whole")]
        np.testing.assert_array_equal(whole, data.features[m][data.item_keys.index(key)].numpy())
    stored = [recommend(run, user, k=99, among="all").items.filter(pl.col("item") == key) for user in data.user_keys]
    for user, row in zip(data.user_keys, stored, strict=True):
        if row.height:  # who had it in training is never recommended it
            found = recommend_new(run, user, new).items.filter(pl.col("item") == "whole")
            assert found["score"][0] == pytest.approx(row["score"][0], abs=1e-6)
    assert sum(row.height for row in stored) > 3


def test_each_item_says_which_modalities_are_used_and_why_others_are_not(run, new):
    rows = {row["item"]: row for row in recommend_new(run, "u1", new).items.to_dicts()}
    assert {key: row["used"] for key, row in rows.items()} == {
        "whole": ["visual", "text", "audio"], "no text": ["visual", "audio"], "text only": ["text"], "sound only": ["audio"], "bare": [],
    }  # fmt: skip
    assert rows["text only"]["missing"] == ["visual", "audio"]
    assert rows["text only"]["reasons"] == ["no picture and no video", "no sound and no video"]
    assert rows["bare"]["score"] is None
    assert len({row["score"] for row in rows.values()}) == 5


def test_lines_that_are_no_items_are_told_with_their_numbers_the_others_taken_and_nothing_left_behind(run, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    lines = ['{"item": broken', "[1, 2]", "", {"title": "no key"}, {"item": "w", "title": {"a": 1}}, {"item": "ok", "title": "Red scarf"},
             {"item": "ok", "title": "Another"}, '{"item": "x", "title": "' + "long " * 4_000_000 + '"}']  # fmt: skip
    new = newcomers.embed(_written(tmp_path, lines), run.feature_sets)
    assert new.keys == ["ok"]
    assert new.titles == ["Red scarf"]
    assert [line.line for line in new.refused] == [1, 2, 3, 4, 5, 7, 8]
    said = {line.line: line.reason for line in new.refused}
    assert "JSON is malformed" in said[1]
    assert said[4] == "no item"
    assert "title is neither a text" in said[5]
    assert said[7] == "line 6 describes the same item"
    assert said[8] == "longer than 16 MiB"
    assert list(place.iterdir()) == []


def test_files_elsewhere_absent_damaged_or_at_an_address_are_missing_with_a_reason(run, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"not for you")
    place = tmp_path / "inside"
    place.mkdir()
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (place / "link.png").symlink_to(secret)
    named = {
        "up": "../secret.png", "root": str(secret), "link": "link.png", "absent": "nowhere.png", "folder": ".", "broken": "broken.png",
        "address": "https://example.com/a.png", "script": "file:///etc/passwd",
    }  # fmt: skip
    new = newcomers.embed(_written(place, [{"item": key, "title": "A scarf", "image": path} for key, path in named.items()]), run.feature_sets)
    reasons = dict(zip(new.keys, new.vectors[Modality.VISUAL].reasons, strict=True))
    assert {key: reasons[key] for key in ("up", "root", "link")} == dict.fromkeys(("up", "root", "link"), "path outside the folder")
    assert reasons["absent"] == "there is no such file in the folder"
    assert reasons["folder"] == "not an ordinary file"
    assert reasons["script"] == "neither a path nor an http or https address"
    assert reasons["address"] == "address not fetched"
    assert reasons["broken"]
    assert np.isnan(new.vectors[Modality.VISUAL].matrix).all()
    assert any("1 items name content by address" in note for note in new.notes)


SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
RECORDS = st.dictionaries(st.sampled_from(["item", "title", "description", "image", "audio", "video", "categories", "x"]), VALUES)
TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(RECORDS.map(json.dumps) | TEXTS, min_size=1, max_size=6))
def test_every_line_of_a_file_is_an_item_or_is_told_why_not(tmp_path, lines):
    file = tmp_path / "any.jsonl"
    file.write_text("".join(f"{line}\n" for line in [*lines, '{"item": "surely"}']), newline="", encoding="utf-8")
    new = newcomers.embed(file, [])
    assert len(new.keys) + len(new.refused) == len(lines) + 1
    assert len(set(new.keys)) == len(new.keys)
    assert "surely" in new.keys


@pytest.mark.parametrize(
    ("name", "lines", "error", "says"),
    [
        ("new.jsonl", ["{", "["], SourceError, "None of the first lines .* is a JSON object"),
        ("new.jsonl", [{"title": "a"}], SourceError, "has no column that looks like an item.*Name it `item`"),
        ("new.jsonl", [{"item": ""}, {"item": " "}], SourceError, "None of the 2 lines .* is an item. The first: line 1, no item"),
        ("new.pdf", ["x"], BadValue, "in no known format"),
    ],
    ids=["no json", "no key", "empty keys", "format"],
)
def test_a_file_of_no_items_is_refused_in_words(run, tmp_path, name, lines, error, says):
    with pytest.raises(error, match=says):
        newcomers.embed(_written(tmp_path, lines, name), run.feature_sets)


def test_a_file_that_is_not_there_is_refused_with_an_example(run, tmp_path):
    with pytest.raises(BadValue, match=r'There is no file .*nowhere.jsonl.*"item": "a1"'):
        newcomers.embed(tmp_path / "nowhere.jsonl", run.feature_sets)


def test_what_such_a_file_is_and_what_an_item_lacks_are_said_by_the_files_own_name(run, tmp_path):
    with pytest.raises(BadValue, match=r"is a folder\. --items takes a file with a line for each new item.*its key in a column `item`, and whatever"):
        newcomers.embed(tmp_path, run.feature_sets)
    file = _written(tmp_path, [{"item": "bare"}], "late.jsonl")
    reasons = [vectors.reasons[0] for vectors in newcomers.embed(file, run.feature_sets).vectors.values()]
    assert "no title in late.jsonl" in reasons
    shown = CliRunner().invoke(cli.app, ["recommend", "--help"], env={"COLUMNS": "200"}).stdout
    assert "A file of new items, a line each" in shown
    assert "column `item`" in " ".join(shown.split())


def test_an_encoder_that_makes_other_vectors_here_is_refused(run, tmp_path):
    text = next(each for each in run.feature_sets if each.modality is Modality.TEXT)
    then = EncoderIdentity(**{name: getattr(text.identity, name) for name in ("encoder", "weights", "weights_sha256", "width", "pooling")},
                           parameters=text.identity.parameters | {"longest": 7})  # fmt: skip
    with pytest.raises(Stale, match="hashed-ngrams makes other text vectors here than those the run was trained on: longest 100000, not 7"):
        newcomers.embed(_written(tmp_path, [{"item": "a", "title": "Red scarf"}]), [FeatureSet(1, Modality.TEXT, then, "then")])


def test_choices_of_an_encoder_that_were_not_the_usual_ones_are_made_again(tmp_path):
    chosen = {"pooling": "cls", "prefix": "query: ", "max_length": 9, "weights": str(tiny_transformer.write(tmp_path))}
    for encoder, modality, options in (
        ("transformers-text", Modality.TEXT, EncoderOptions(**chosen)),
        ("colour-layout", Modality.VISUAL, EncoderOptions(frames=3, frame_choice="scenes")),
    ):
        made = extractors.resolve(modality, encoder).build(options)
        found = again.options_of(FeatureSet(1, modality, made.identity, ""))
        assert again.differences(made.identity, extractors.resolve(modality, encoder).build(found).identity) == []
        assert again.differences(made.identity, extractors.resolve(modality, encoder).build(replace(found, prefix=None, frames=None)).identity) != []


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A run whose vectors came ready-made."""
    path = planted.fill(tmp_path_factory.mktemp("imported") / "planted.duckdb", modalities=(Modality.VISUAL, Modality.TEXT))
    with Store(path, mode="write") as store:
        store.run("UPDATE feature_sets SET encoder = 'imported'")
    splits.build(path, setting=Setting.FTFT, seed=0)
    return open_run(train(path, split="ftft-0", settings=QUICK).folder)


def test_vectors_that_come_ready_made_are_read_from_columns_and_looked_at(imported, tmp_path):
    data = imported.data()
    vector = data.features[0][5].tolist()
    lines = [
        {"item": "same", "visual_vector": vector, "text_vector": data.features[1][5].tolist()}, {"item": "short", "visual_vector": vector[:3]},
        {"item": "words", "visual_vector": ["a"] * planted.WIDTH}, {"item": "zeros", "visual_vector": [0] * planted.WIDTH},
        {"item": "none"}, {"item": "half", "visual_vector": vector},
    ]  # fmt: skip
    new = newcomers.embed(_written(tmp_path, lines), imported.feature_sets)
    reasons = dict(zip(new.keys, new.vectors[Modality.VISUAL].reasons, strict=True))
    assert reasons == {
        "same": None, "short": "its visual_vector has 3 numbers, the run's have 8", "words": "its visual_vector holds what is no finite number",
        "zeros": "its visual_vector is all zeros", "none": "no visual_vector", "half": None,
    }  # fmt: skip
    found = recommend_new(imported, "u1", new, k=1).items
    stored = recommend(imported, "u1", k=200, among="all").items.filter(pl.col("item") == "i5")["score"]
    with_it = recommend_new(imported, "u1", new, k=9).items.filter(pl.col("item") == "same")["score"][0]
    assert found.height == 1 + 4
    assert stored.to_list() in ([], [pytest.approx(with_it, abs=1e-6)])


def test_a_file_without_the_vectors_that_a_run_needs_says_so(imported, tmp_path):
    new = newcomers.embed(_written(tmp_path, [{"item": "a", "title": "Red scarf", "price": 3}]), imported.feature_sets)
    assert "there is no column 'visual_vector' with those of new items" in new.notes[0]
    assert new.notes[-1] == "Columns that nothing was made of: price."
    assert recommend_new(imported, "u1", new).n_without == 1


def test_the_sets_of_a_run_are_those_of_its_store(run):
    with Store(run.store, mode="read") as store:
        assert run.feature_sets == tuple(feature_sets.current(store).values())
