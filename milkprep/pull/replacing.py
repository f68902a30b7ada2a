"""One catalogue takes the place of another, `--replace`: what differs, what goes, and which vectors stay.

Promises: everything happens in the transaction that writes the new catalogue; a vector stays exactly when its content is still
some item's content; splits go, because they were drawn from the catalogue that goes, and the report names them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milkprep.engine.content import EVERYTHING
from milkprep.pull.input_files import PullRequest
from schemas import feature_sets, item_means, queries
from schemas.contracts import Modality, Several
from schemas.store import Store

#: Encoders whose vectors come with a pull.
MADE_BY_PULL = ["imported", "tfidf-svd"]


@dataclass(frozen=True, slots=True)
class Replaced:
    """What went: names of splits, and the feature sets whose vectors may stay, as rows of `feature_sets`."""

    splits: Sequence[str]
    feature_sets: Sequence[Mapping[str, Any]]


def differences(held: Mapping[str, Any], request: PullRequest) -> list[str]:
    """In words, how a pull differs from the one a store holds; what nothing else explains is media or the names of files.

    Args:
        held: `source`, `parameters` and `inputs` of the pull in the store, the latter two as JSON.
        request: the other pull.
    """
    if held["source"] != request.source:
        return [f"this one is {request.source}"]
    before, words = json.loads(held["parameters"]), []
    for name, value in json.loads(json.dumps(dict(request.parameters))).items():
        if name != "names":
            words += _told(name.replace("_", " "), before.get(name), value)
    files = json.loads(held["inputs"])
    if len(files) != len(request.inputs):
        words.append(f"it was made from {', '.join(Path(file['path']).name for file in files)}")
    else:
        for old, new in zip(files, request.inputs, strict=True):
            if old["sha256"] != new.sha256:
                words.append(f"{Path(new.path).name} has other content ({old['bytes']:,} bytes then, {new.bytes:,} now)")
    if not words and before.get("names") != dict(request.parameters).get("names"):
        words.append(f"its files were named {_shown(before.get('names'))}")
    return words or ["pictures, sound or video beside the raw files changed"]


def _told(name: str, before: object, now: object) -> list[str]:
    """How a setting differs; of settings in settings each that does."""
    if before == now:
        return []
    if not isinstance(before, dict) and not isinstance(now, dict):
        return [f"{name} was {_shown(before)} and is {_shown(now)}"]
    old, new = (value if isinstance(value, dict) else {} for value in (before, now))
    if any(isinstance(value, dict) for value in (*old.values(), *new.values())):
        return [words for part in {**old, **new} for words in _told(f"{name} of {part}", old.get(part), new.get(part))]
    return [words for part in {**old, **new} for words in _told(f"{name}: {part.replace('_', ' ')}", old.get(part), new.get(part))]


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def clear(store: Store) -> Replaced:
    """Take the old catalogue away. Call inside the transaction that writes the new one, before it.

    Vectors stay for `restore` to sort.
    """
    sql = _sql()
    found = Replaced(
        store.query(sql["splits"])["name"].to_list(), list(store.query(sql["feature_sets"], made_by_pull=MADE_BY_PULL).iter_rows(named=True))
    )
    for statement in sql["forget_catalogue"].split(";"):
        if statement.strip():
            store.run(statement)
    return found


def restore(store: Store, replaced: Replaced) -> list[str]:
    """Point the items of the new catalogue at the vectors of their contents, and drop those nothing points at.

    Call inside the transaction that wrote the catalogue, after it.

    Returns:
        Notes for the report: what stayed and what went.
    """
    sql, notes = _sql(), []
    store.run(sql["apply_downloads"])
    for row in replaced.feature_sets:
        n_kept = _restore_set(store, row)
        notes.append(f"{row['modality']} by {row['encoder']}: {n_kept} of {row['n_contents']} vectors are of content that is still there, and stay.")
    for number in store.query(sql["empty_sets"])["feature_set_id"]:
        store.run(sql["drop_set"], feature_set_id=number)
    _show_what_is_left(store)
    for row in store.query(sql["tables_without_set"]).iter_rows(named=True):
        store.run(sql["drop_vectors"].format(vectors=row["table_name"]))
    if replaced.splits:
        notes.append(f"Splits drawn from the catalogue before were dropped: {', '.join(replaced.splits)}. Build them again.")
    return notes


def _restore_set(store: Store, row: Mapping[str, Any]) -> int:
    """Rows of one feature set; the number of distinct contents that have a vector."""
    sql, extract, number = _sql(), queries.load("milkprep.sql", "extract.sql"), row["feature_set_id"]
    vectors = f"vectors_{int(number)}"
    if row["modality"] == Modality.TEXT.value:
        fields = json.loads(row["parameters"])["fields"]
        store.run(
            sql["restore_texts"].format(pending=extract["pending_text"], vectors=vectors),
            feature_set_id=number,
            fields=fields,
            retry=True,
            **EVERYTHING,
        )
    else:
        of_item = "restore_first" if json.loads(row["parameters"]).get("several") == Several.FIRST else "restore_files"
        store.run(sql[of_item].format(vectors=vectors), feature_set_id=number, modality=row["modality"])
    rows = store.query(sql["rows_of"], feature_set_id=number)
    with store.registered("accepted", rows):
        if row["modality"] == Modality.TEXT.value:
            location = "+".join(f"items.{field}" for field in fields)
            store.run(extract["accept_texts"], modality=row["modality"])
            store.run(extract["add_text_assets"], modality=row["modality"], location=location)
        else:
            store.run(extract["accept_files"], modality=row["modality"])
    store.run(sql["forget_vectors"].format(vectors=vectors), feature_set_id=number)
    store.run(sql["count_again"], feature_set_id=number)
    if kept := feature_sets.by_id(store, number):
        item_means.refresh_inside(store, kept)
    return rows["content_sha256"].n_unique()


def _show_what_is_left(store: Store) -> None:
    for modality, number in store.query(_sql()["modalities_without_current"]).iter_rows():
        feature_sets.show_inside(store, Modality(modality), number)


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "replacing.sql")
