"""Feature sets in the store: register one, fill it in batches, make it the current one of its modality.

A feature set is named by a fingerprint of what makes its vectors, so the same encoder run twice is the same set: a run
that was interrupted goes on where it stopped. Vectors belong to contents; items point to contents.
"""

import json

import polars as pl

from schemas import fingerprint, item_means, queries
from schemas.contracts import EncoderIdentity, FeatureSet, Modality
from schemas.errors import FeatureMissing, Stale
from schemas.store import Store


def register(store: Store, modality: Modality, identity: EncoderIdentity) -> FeatureSet:
    """The feature set of this encoder, created with its empty vector table where the store has none yet.

    Args:
        store: open for writing.
        modality: what is embedded.
        identity: what embeds it. Library versions are recorded but are no part of the name.

    Raises:
        StoreError: if the store cannot be written.
    """
    with store.transaction():
        return register_inside(store, modality, identity)


def register_inside(store: Store, modality: Modality, identity: EncoderIdentity) -> FeatureSet:
    """`register` as a part of the caller's transaction, for vectors that must appear together with other tables."""
    sql, templates = _sql(), queries.load("schemas.sql", "vectors.sql")
    assert identity.width > 0
    name = name_of(modality, identity)
    found = store.query(sql["find"], fingerprint=name)
    if found.height:
        return FeatureSet(found["feature_set_id"].item(), modality, identity, name)
    number = int(store.query(sql["next_id"])["id"].item())
    store.run(
        sql["register"], feature_set_id=number, modality=modality.value, encoder=identity.encoder, weights=identity.weights,
        weights_sha256=identity.weights_sha256, width=identity.width, pooling=identity.pooling,
        parameters=json.dumps(identity.parameters, sort_keys=True), versions=json.dumps(identity.versions, sort_keys=True), fingerprint=name,
    )  # fmt: skip
    store.run(templates["create_table"].format(feature_set_id=number, width=identity.width))
    return FeatureSet(number, modality, identity, name)


def name_of(modality: Modality, identity: EncoderIdentity) -> str:
    """Fingerprint that names a set: of everything that changes its vectors, library versions left out."""
    return fingerprint.of_value(
        [modality.value, identity.encoder, identity.weights, identity.weights_sha256, identity.width, identity.pooling, identity.parameters]
    )


def vectors_table(feature_set: FeatureSet) -> str:
    """Name of the table that holds a set's vectors: content_sha256, vector FLOAT[width]."""
    return f"vectors_{feature_set.feature_set_id}"


def append_vectors(store: Store, feature_set: FeatureSet, vectors: pl.DataFrame) -> None:
    """Add embedded contents. Call inside a transaction, together with whatever must be true at the same time.

    Args:
        store: open for writing.
        feature_set: the set they belong to.
        vectors: `content_sha256` String and `vector` Array(Float32, width); contents not in the set yet.

    Raises:
        StoreError: if a vector has another width.
        Stale: if the set was removed meanwhile.
    """
    found = by_id(store, feature_set.feature_set_id)
    if found is None or found.fingerprint != feature_set.fingerprint:
        raise Stale(f"Feature set {feature_set.feature_set_id} of {store.path} was removed while it was being filled. Run the same command again.")
    store.append(vectors_table(feature_set), vectors)


def append_rows(store: Store, feature_set: FeatureSet, rows: pl.DataFrame) -> None:
    """Point items at contents that have a vector; their stored means go, until the set is finished again.

    Args:
        store: open for writing.
        feature_set: the set they belong to.
        rows: `item_idx`, `position`, `content_sha256`.
    """
    item_means.forget_inside(store, feature_set, rows["item_idx"])
    store.append("feature_rows", rows.with_columns(pl.lit(feature_set.feature_set_id, dtype=pl.Int32).alias("feature_set_id")))


def finish(store: Store, feature_set: FeatureSet, *, n_failed: int, seconds: float, as_default: bool = False) -> bool:
    """Record the counts of a set and, where it is the one to show, show it as `features_<modality>`, in one transaction.

    The first finished set of a modality is shown, and goes on being shown until another one is asked for.

    Args:
        store: open for writing, not in a transaction.
        feature_set: the set to finish.
        n_failed: assets that could not be embedded.
        seconds: time this run took; added to that of earlier, interrupted ones.
        as_default: show it in place of the set that is shown.

    Returns:
        Whether it is shown now; if not, it stays beside the one that is.
    """
    with store.transaction():
        return finish_inside(store, feature_set, n_failed=n_failed, seconds=seconds, as_default=as_default)


def finish_inside(store: Store, feature_set: FeatureSet, *, n_failed: int, seconds: float, as_default: bool = False) -> bool:
    """`finish` as a part of the caller's transaction."""
    sql = _sql()
    item_means.refresh_inside(store, feature_set)
    store.run(sql["finish"], feature_set_id=feature_set.feature_set_id, n_failed=n_failed, seconds=seconds)
    shown = current(store).get(feature_set.modality)
    if shown is None or as_default:
        make_current_inside(store, feature_set)
        return True
    return shown.feature_set_id == feature_set.feature_set_id


def make_current_inside(store: Store, feature_set: FeatureSet) -> None:
    """Show a finished set as `features_<modality>`; call inside a transaction."""
    store.run(_sql()["make_current"], feature_set_id=feature_set.feature_set_id, modality=feature_set.modality.value)
    show(store, feature_set)


def show_inside(store: Store, modality: Modality, feature_set_id: int | None) -> None:
    """Show another finished set of a modality, or none, after the one that was shown has gone; call inside a transaction."""
    if feature_set_id is None:
        store.run(queries.load("schemas.sql", "vectors.sql")["show_nothing"].format(modality=modality.value))
        return
    found = by_id(store, feature_set_id)
    assert found, f"no feature set {feature_set_id} to show"
    make_current_inside(store, found)


def remove_inside(store: Store, feature_set: FeatureSet) -> None:
    """Remove a set with its vectors and everything recorded of it; call inside a transaction.

    If it was shown, the set of its modality that was finished last is shown in its place.
    """
    sql, number, modality = _sql(), feature_set.feature_set_id, feature_set.modality
    shown = current(store).get(modality)
    for statement in ("forget_rows", "forget_failures", "forget_means", "forget_set"):
        store.run(sql[statement], feature_set_id=number)
    store.run(queries.load("schemas.sql", "vectors.sql")["drop_table"].format(feature_set_id=number))
    if shown and shown.feature_set_id == number:
        others = store.query(sql["latest_of_modality"], modality=modality.value)["feature_set_id"]
        show_inside(store, modality, int(others[0]) if len(others) else None)


def show(store: Store, feature_set: FeatureSet) -> None:
    """Make `features_<modality>` read this set."""
    template = queries.load("schemas.sql", "vectors.sql")["show"]
    store.run(template.format(modality=feature_set.modality.value, feature_set_id=feature_set.feature_set_id, width=feature_set.identity.width))


def current(store: Store) -> dict[Modality, FeatureSet]:
    """The feature set each `features_<modality>` shows, in the order of `Modality`; modalities without one are left out."""
    rows = {row["modality"]: row for row in store.query(_sql()["current"]).iter_rows(named=True)}
    return {modality: _from_row(rows[modality.value]) for modality in Modality if modality.value in rows}


def latest_of_encoder(store: Store, modality: Modality, encoder: str) -> FeatureSet | None:
    """The set of a modality that an encoder finished last; None where there is none.

    Args:
        store: open.
        modality: what is embedded.
        encoder: as it is named in the store, `imported` for vectors that came ready-made.
    """
    rows = store.query(_sql()["latest_of_encoder"], modality=modality.value, encoder=encoder)
    return _from_row(rows.row(0, named=True)) if rows.height else None


def by_name(store: Store, name: str) -> FeatureSet | None:
    """The set of a fingerprint; None where there is none."""
    found = store.query(_sql()["find"], fingerprint=name)
    return by_id(store, int(found["feature_set_id"].item())) if found.height else None


def by_id(store: Store, feature_set_id: int) -> FeatureSet | None:
    """The set of a number; None where there is none."""
    rows = store.query(_sql()["by_id"], feature_set_id=feature_set_id)
    return _from_row(rows.row(0, named=True)) if rows.height else None


def current_of(store: Store, modality: Modality) -> FeatureSet:
    """The current feature set of one modality.

    Raises:
        FeatureMissing: if it has none; the message names the command that makes one.
    """
    sets = current(store)
    if modality not in sets:
        known = ",".join(sets) or "none yet"
        raise FeatureMissing(
            f"{modality} has no feature set in {store.path}. Run `python cli.py extract --modality {modality} --store {store.path}`, "
            f"or name others with --modalities (present: {known})."
        )
    return sets[modality]


def _from_row(row: dict[str, object]) -> FeatureSet:
    identity = EncoderIdentity(
        encoder=str(row["encoder"]), weights=str(row["weights"]), weights_sha256=str(row["weights_sha256"]), width=int(str(row["width"])),
        pooling=str(row["pooling"]), parameters=json.loads(str(row["parameters"])), versions=json.loads(str(row["versions"])),
    )  # fmt: skip
    return FeatureSet(int(str(row["feature_set_id"])), Modality(str(row["modality"])), identity, str(row["fingerprint"]))


def _sql() -> dict[str, str]:
    return queries.load("schemas.sql", "feature_sets.sql")
