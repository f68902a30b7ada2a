"""What the runs are about: the dataset, which modalities its items have, what was dropped, and what the splits take away."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from milktrain.page.blocks import Block, Figure, Figures, Section, Words, table, text
from milktrain.page.charts import Bar, bars
from milktrain.page.reading import PARTS, Found, in_place
from schemas import availability, queries
from schemas.contracts import Modality
from schemas.errors import StoreError
from schemas.store import Store

#: Splits, reasons and pulls that are shown; what is more is counted.
MOST_SPLITS, MOST_REASONS, MOST_PULLS, MOST_PARTS = 12, 20, 10, 9
#: Colours of what the items of a part have.
LEFT, LOST, NEVER = 0, 1, 5


def section(found: Sequence[Found], *, store: Path | None = None) -> Section:
    """The datasets of the runs, as far as their stores are there.

    Args:
        found: the runs.
        store: where the store is; beside the folder of runs, by the name that they say, when None.
    """
    inside: list[Section] = []
    for name in sorted({run.store for run in found}):
        same = [run for run in found if run.store == name]
        place = store or place_of(same[0])
        blocks: list[Block]
        if place is None or not place.is_file():
            where = "not beside the folder of these runs" if place and not store else "not there" if place else "named by no plain file name"
            blocks = [Words(f"The store {name} is {where}, so nothing is said here of its users, items, modalities and splits.", "loud")]
        else:
            try:
                blocks = _read(place, same)
            except StoreError as error:
                blocks = [Words(f"The store cannot be read, so nothing is said here of the dataset. {in_place(error, place)}", "loud")]
        inside.append(Section(f"dataset-{len(inside) + 1}", name, blocks))
    return Section("dataset", "Dataset", [], inside)


def place_of(run: Found) -> Path | None:
    """Where the store of a run lies if it is beside the folder of runs; None where its name is a path, which is not followed."""
    return run.folder.absolute().parent.parent / run.store if Path(run.store).name == run.store else None


def _read(place: Path, same: Sequence[Found]) -> list[Block]:
    sql = queries.load("milktrain.sql", "page.sql")
    names = sorted({run.split for run in same})
    with Store(place, mode="read") as store:
        counts = store.query(sql["counts"]).row(0, named=True)
        tables = {name: store.query(sql[name]) for name in ("pulls", "rejects", "splits")}
        tables |= {"combinations": availability.combinations(store), "lacking": availability.reasons(store)}
        for name in ("parts", "losses"):
            tables[name] = store.query(sql[name], names=names[:MOST_SPLITS])
    n_items = counts["items"]
    density = 100 * counts["interactions"] / max(counts["users"] * n_items, 1)
    said = f"{text(counts['users'])} users, {text(n_items)} items, {text(counts['interactions'])} interactions: {density:.3f} % of all pairs."
    blocks: list[Block] = [Words(said), *_stale(same, tables["splits"])]
    blocks.append(Figures((_combinations(tables["combinations"], n_items), *_lost(tables["losses"]))))
    if tables["lacking"].height:
        blocks.append(_listed("Why items lack a modality", tables["lacking"], words=[1]))
    blocks.append(
        _listed("What was refused or dropped", tables["rejects"], words=[1]) if tables["rejects"].height else Words("Nothing was refused or dropped.")
    )
    blocks.append(_listed("Where it came from", tables["pulls"].head(MOST_PULLS), words=[1, 2, 3], folded=True))
    if tables["parts"].height:
        folded = tables["parts"].height > MOST_PARTS
        blocks += [
            _listed("Splits: items, users and interactions of each part", tables["parts"], words=[1], folded=folded),
            _listed(
                "Splits: items that have a modality, lose it to the setting, and are left with it", tables["losses"], words=[1, 2, 3], folded=True
            ),
        ]
    if len(names) > MOST_SPLITS:
        blocks.append(Words(f"{MOST_SPLITS} of {len(names)} splits are shown."))
    return blocks


def _stale(same: Sequence[Found], splits: pl.DataFrame) -> list[Words]:
    """Runs of splits that the store does not have, or no longer has as they were."""
    now = dict(splits.iter_rows())
    gone = sorted({run.split for run in same if run.split not in now})
    other = sorted({run.split for run in same if run.split in now and run.record.get("split_fingerprint") != now[run.split]})
    said = [Words(f"The store has no split {', '.join(gone)}, on which runs of this page were trained.", "loud")] if gone else []
    if other:
        said.append(Words(f"Runs were trained on another state of {', '.join(other)} than the store has now: their fingerprints differ.", "loud"))
    return said


def _combinations(counted: pl.DataFrame, n_items: int) -> Figure:
    rows, drawn = [], []
    for row in counted.iter_rows(named=True):
        there = [modality.value for modality in Modality if row[modality.value]]
        name = " + ".join(there) if len(there) > 1 else f"{there[0]} only" if there else "none"
        share = f"{100 * row['items'] / max(n_items, 1):.1f} %"
        rows.append([name, row["items"], share])
        drawn.append(Bar(name, [(float(row["items"]), 0)], f"{text(row['items'])} ({share})"))
    numbers = table("Items by the modalities they have", ["modalities", "items", "share"], rows)
    described = "; ".join(f"{bar.name}: {bar.value}" for bar in drawn)
    return bars(drawn, title="Items by the modalities they have", description=f"{described}.", x="items", numbers=numbers)


def _lost(losses: pl.DataFrame) -> list[Figure]:
    """What each setting takes away from the parts, of all its splits together."""
    figures = []
    for setting in dict.fromkeys(losses["setting"]):
        counted = (
            losses.filter(setting=setting).group_by("part", "modality", maintain_order=True).agg(pl.col("items", "present", "lost", "left").sum())
        )
        drawn, rows = [], []
        for row in counted.iter_rows(named=True):
            left, lost = (100 * row[name] / max(row["items"], 1) for name in ("left", "lost"))
            never = 100 - left - lost if row["items"] else 0.0
            name = f"{PARTS.get(row['part'], row['part'])}, {row['modality']}"
            drawn.append(Bar(name, [(left, LEFT), (lost, LOST), (max(never, 0.0), NEVER)], f"{left:.1f} % left"))
            rows.append([name, *(f"{share:.1f} %" for share in (left, lost, abs(never)))])
        title = f"What {str(setting).upper()} takes away"
        described = "; ".join(f"{name}: {left} left, {lost} lost, {never} never there" for name, left, lost, never in rows)
        numbers = table(f"{title}: items of all splits together", ["part, modality", "left", "lost", "never there"], rows)
        legend = [("left", LEFT), ("lost to the setting", LOST), ("never there", NEVER)]
        figures.append(bars(drawn, title=title, description=f"{described}.", x="% of the items of a part", numbers=numbers, legend=legend))
    return figures


def _listed(caption: str, frame: pl.DataFrame, *, words: Sequence[int] = (), folded: bool = False) -> Block:
    more = f" (the first {MOST_REASONS} of {frame.height})" if frame.height > MOST_REASONS and not folded else ""
    shown = frame if folded else frame.head(MOST_REASONS)
    return table(caption + more, frame.columns, shown.rows(), words=words, folded=folded)
