"""What a pull did, in numbers: lines read, taken, and dropped by each rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

STEP_SCHEMA = {"file": pl.String, "rule": pl.String, "in_words": pl.String, "count": pl.Int64}
RULES = {
    "read": "lines or rows in the file",
    "not_utf8": "dropped: not UTF-8",
    "line_too_long": "dropped: longer than any real line",
    "malformed": "dropped: not in the format of the file",
    "wrong_type": "dropped: a value of another type or out of its range",
    "missing_key": "dropped: no user or no item named",
    "duplicate_line": "dropped: an exact copy of an earlier line",
    "duplicate_item": "dropped: another line for the same item",
    "duplicate_pair": "dropped: the same user and item at another time",
    "not_positive": "dropped: a view that is no interaction, as it was not finished or not liked",
    "below_core": "dropped: the user or the item has too few interactions",
    "no_interactions": "dropped: an item without interactions",
    "not_finite": "dropped: a vector with values that are not finite",
    "all_zero": "dropped: a vector of zeros only, which stands for a missing one",
    "wrong_width": "dropped: a vector of another width",
    "listed_missing": "dropped: a vector that a list names as missing",
    "without_item": "not used: of no item that is taken",
    "taken": "taken into the store",
    "scraped_title": "items taken whose title is scraped HTML, stored as missing",
    "not_in_metadata": "items taken that the metadata does not describe",
    "media_without_item": "media files that belong to no item taken",
    "media_unknown_ending": "files in folders of media that are not read, as their names end in nothing that is known",
    "media_outside": "media refused: the path leads out of the folder",
    "media_not_there": "media that a table names and that are not there",
    "media_no_address": "media that a table names by what is neither a path nor an http or https address",
    "media_not_ordinary": "media that a table names and that are no ordinary files",
}
#: Rules that drop sound lines by the million, so that only their number is kept: no rows of `rejects`.
COUNTED_ONLY = ("not_positive",)


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull did.

    Args:
        source: the source and its release, e.g. `amazon-2018`.
        n_users: users in the store.
        n_items: items in the store.
        n_interactions: (user, item) pairs in the store.
        steps: one row a file and rule that applied: `file`, `rule`, `in_words`, `count`. Of each file the lines `read` are
            those `taken` plus all that were dropped.
        changed: False when the store already held exactly this.
        notes: what a reader should know besides, in sentences: what was guessed, what was replaced.
    """

    source: str
    n_users: int
    n_items: int
    n_interactions: int
    steps: pl.DataFrame
    changed: bool
    notes: tuple[str, ...] = ()


def steps(n_lines: Mapping[str, int], extra: Mapping[tuple[str, str], int], rejected: pl.DataFrame) -> pl.DataFrame:
    """The table of rules.

    Args:
        n_lines: lines read of each file, by label.
        extra: further counts by (label, rule); zeros are left out.
        rejected: `source`, `reason`, `n`.

    Returns:
        See `PullReport.steps`.
    """
    rows = []
    for file, n_read in n_lines.items():
        dropped = {reason: n for source, reason, n in rejected.iter_rows() if source == file}
        dropped |= {rule: n for (of, rule), n in extra.items() if of == file and rule in COUNTED_ONLY and n}
        counts = {"read": n_read, **dropped, "taken": n_read - sum(dropped.values())}
        rows += [(file, rule, words, counts[rule]) for rule, words in RULES.items() if rule in counts]
    rows += [(file, rule, RULES[rule], n) for (file, rule), n in extra.items() if n and rule not in COUNTED_ONLY]
    return pl.DataFrame(rows, schema=STEP_SCHEMA, orient="row")


def why_nothing(report_steps: pl.DataFrame) -> str:
    """A sentence on what dropped everything, and what to do about it."""
    dropped = report_steps.filter(pl.col("in_words").str.starts_with("dropped"))
    counts = "; ".join(f"{row['count']} lines of {row['file']} {row['in_words']}" for row in dropped.iter_rows(named=True))
    return f"{counts}. Lower --core, or check the files." if counts else "Check the files."


def from_json(source: str, report: Mapping[str, Any], *, changed: bool) -> PullReport:
    """The report that `pulls.report` holds."""
    counts = {name: int(report[name]) for name in ("n_users", "n_items", "n_interactions")}
    steps_told = pl.DataFrame(report["steps"], schema=STEP_SCHEMA, orient="row")
    return PullReport(source=source, **counts, steps=steps_told, changed=changed, notes=tuple(report.get("notes", ())))
