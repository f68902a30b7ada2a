"""New items with vectors of the very encoders that a run was trained on.

The items go into a store of their own, in a folder that is taken away at the end, and through the extraction that every catalogue goes
through: the same texts are composed, the same files decoded in processes of their own, several pictures averaged alike. An encoder that
makes other vectors here than the run's is refused.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from milkprep.engine.content import EVERYTHING, Reader
from milkprep.extract import IMPORTED, extract
from milkprep.newcomers import again, reading, ready_made
from milkprep.newcomers.reading import Read
from schemas import queries
from schemas.contracts import FeatureSet, Modality, Several
from schemas.errors import NothingEmbedded, Stale
from schemas.new_items import NewItems, NewVectors
from schemas.reporting import Reporter
from schemas.store import Store

NOT_FETCHED = "address not fetched"


def embed(path: Path, sets: Sequence[FeatureSet], reporter: Reporter) -> NewItems:
    """Read a table of new items and embed what they have.

    Args:
        path: `.jsonl`, `.csv`, `.tsv` or Parquet, in columns as `pull folder` knows them; media that it names lie below its folder.
        sets: the feature sets of the run, one a modality; for those that came ready-made the table has columns like `visual_vector`.
        reporter: told how far it is.

    Raises:
        BadValue: if there is no such file, or its name says no known format.
        SourceError: if it is empty or damaged, or none of its lines is an item.
        WeightsMissing: if the weights of an encoder are not here.
        Stale: if an encoder makes other vectors here than those of the run.
    """
    with tempfile.TemporaryDirectory(prefix="milk-new-items-") as folder:
        place = Path(folder) / "new.duckdb"
        with Store(place, mode="write") as store:
            found = reading.read_into(store, path, reporter=reporter)
        computed = [each for each in sets if each.identity.encoder != IMPORTED]
        for feature_set in computed:
            _extract(place, feature_set, reporter=reporter)
        with Store(place, mode="read") as store:
            vectors = {each.modality: _vectors(store, each, n=found.items.height) for each in computed}
    vectors |= {each.modality: ready_made.read(found, each) for each in sets if each.modality not in vectors}
    keys, titles = found.items["item_key"].to_list(), found.items["title"].to_list()
    return NewItems(keys, titles, {each.modality: vectors[each.modality] for each in sets}, found.refused, _notes(found, sets, vectors))


def _extract(place: Path, feature_set: FeatureSet, *, reporter: Reporter) -> None:
    """Fill the small store with one modality; it stays without where no item has anything that can be used."""
    identity, modality = feature_set.identity, feature_set.modality
    stated = identity.parameters.get("fields", ["title", "description"])
    fields = tuple(map(str, stated if isinstance(stated, list) else ()))
    several = None if modality is Modality.TEXT else Several(str(identity.parameters.get("several", Several.MEAN.value)))
    with Store(place, mode="read") as store:
        if not Reader(place, modality=modality, fields=fields).everything(store, **EVERYTHING).height:
            return
    try:
        made = extract(
            place,
            modality=modality,
            encoder=identity.encoder,
            options=again.options_of(feature_set),
            fields=fields,
            several=several,
            reporter=reporter,
        )
    except NothingEmbedded:
        return  # why not is in the small store, item by item
    if other := again.differences(identity, made.feature_set.identity):
        raise Stale(
            f"{identity.encoder} makes other {modality} vectors here than those the run was trained on: {'; '.join(other)}. "
            "Use the weights and settings of then, or extract and train again."
        )


def _vectors(store: Store, feature_set: FeatureSet, *, n: int) -> NewVectors:
    sql, name = queries.load("milkprep.sql", "newcomers.sql"), feature_set.modality.value
    state = store.query(sql["availability"])
    matrix = np.full((n, feature_set.identity.width), np.nan, dtype=np.float32)
    if state[name].any():
        rows = store.query(sql["vectors"].format(modality=name))
        matrix[rows["item_idx"].to_numpy()] = rows["vector"].to_numpy()
    reasons = state.select(pl.when(pl.col(name)).then(None).otherwise(pl.col(f"{name}_reason"))).to_series()
    return NewVectors(feature_set.fingerprint, matrix, reasons.to_list())


def _notes(found: Read, sets: Sequence[FeatureSet], vectors: Mapping[Modality, NewVectors]) -> list[str]:
    of_sets = {ready_made.column_of(each.modality): each for each in sets}
    notes: list[str] = []
    for column, each in of_sets.items():
        given, imported = column in found.table.columns, each.identity.encoder == IMPORTED
        if imported and not given:
            notes.append(f"The run's {each.modality} vectors came ready-made, and there is no column {column!r} with those of new items.")
        if given and not imported:
            notes.append(f"{column!r} is not read: the run's {each.modality} vectors are made from content, by {each.identity.encoder}.")
    n_addresses = sum(reason == NOT_FETCHED for each in vectors.values() for reason in each.reasons)
    if n_addresses:
        where = found.table.path.parent
        notes.append(f"{n_addresses} items name content by address, which is not fetched here. Download it, and name the files below {where}.")
    unused = [name for name in found.unused if name not in of_sets]
    if unused:
        notes.append(f"Columns that nothing was made of: {', '.join(unused[:10])}.")
    return notes
