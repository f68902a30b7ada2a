"""Shards of an encoder that pads: the same batches as in one run, so the same vectors."""

import tiny_transformer
from sharded import merge
from small_catalogue import tables, write_catalogue

from milkprep.engine.shards import Shard
from milkprep.extract import extract
from milkprep.shards import extract_shard
from schemas.contracts import Modality
from schemas.reporting import Silent


def test_vectors_of_a_network_that_pads_are_those_of_one_run_to_the_bit_where_no_content_is_shared(tmp_path):
    model = str(tiny_transformer.write(tmp_path))
    rows = [(" ".join(["red", "blue", "card", "a"][: i % 4 + 1] * (i % 3 + 1)) + f" {i}", None) for i in range(1100)]
    alone, path = (write_catalogue(tmp_path / name, rows) for name in ("alone.duckdb", "s.duckdb"))
    extract(alone, modality=Modality.TEXT, encoder=model, reporter=Silent())
    for number in (1, 2):
        extract_shard(path, modality=Modality.TEXT, shard=Shard(number, 2), encoder=model, reporter=Silent())
    merge(path)
    assert tables(path)["vectors_1"] == tables(alone)["vectors_1"]
    assert len(tables(path)["vectors_1"]) == 1100
