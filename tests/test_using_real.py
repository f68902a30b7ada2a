"""A finished run on real gift cards: raw lines of the metadata, given as new items, score as the catalogue made of them."""

import gzip

import pytest

from milkprep import extract, newcomers, splits
from milkprep.sources import amazon
from milktrain import evaluate, recommend, recommend_new, train
from schemas.contracts import Modality, Setting
from schemas.reporting import Silent


def test_raw_metadata_given_anew_has_the_scores_of_the_catalogue(real_data, tmp_path):
    raw, store = real_data / "amazon2018_gift_cards", tmp_path / "gifts.duckdb"
    amazon.pull(store, metadata=raw / "meta_Gift_Cards.v2.json.gz", reviews=raw / "Gift_Cards_5.json.gz", reporter=Silent())
    extract.extract(store, modality=Modality.TEXT, encoder="hashed-ngrams", reporter=Silent())
    splits.build(store, setting=Setting.FTFT, seed=0)
    run = train(store, split="ftft-0", settings={"max_epochs": 3, "evaluate_every": 1, "batch_size": 512})
    assert evaluate(run).reproduced

    user = run.data().user_keys[0]
    stored = {row["item"]: row["score"] for row in recommend(run, user, k=1000, among="all").items.to_dicts()}
    lines = gzip.decompress((raw / "meta_Gift_Cards.v2.json.gz").read_bytes()).splitlines()
    (tmp_path / "meta.jsonl").write_bytes(b"\n".join(line for line in lines if any(key.encode() in line for key in stored)))
    given = {
        row["item"]: row["score"]
        for row in recommend_new(run, user, newcomers.embed(tmp_path / "meta.jsonl", run.feature_sets), k=1000).items.to_dicts()
    }
    both = stored.keys() & given.keys()
    assert len(both) == len(stored) > 100
    assert {key: given[key] for key in both} == pytest.approx({key: stored[key] for key in both}, abs=1e-6)
