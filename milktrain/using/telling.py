"""Lists of items as tables that fit a terminal: the ranking, and beside it what speaks for each item and what it goes without."""

import polars as pl

#: Characters of a title that a terminal shows; `--json` has them all.
TITLE = 26
#: Columns of the ranking, where a list has them.
RANKED = ("rank", "item", "title", "score", "cosine", "above", "part", "catalogue", "had")
#: Not shown where they would be empty.
OPTIONAL = ("title", "catalogue", "had")
WHAT_SPEAKS = "what speaks for each"


def tables(items: pl.DataFrame, *, title: str) -> list[tuple[str, pl.DataFrame]]:
    """A list as one table, and a second one where some of its items go without something.

    Args:
        items: as `recommend`, `recommend_new` and `similar` give them.
        title: of the first table.

    Returns:
        Titles and frames.

    Example:
        >>> items = pl.DataFrame({"rank": [1], "item": ["a"], "title": [None], "score": [0.5], "used": [["text"]], "missing": [["audio"]]})
        >>> [frame.columns for _, frame in tables(items, title="new items")]
        [['rank', 'item', 'score'], ['item', 'used', 'without']]
    """
    ranked = items.select(name for name in RANKED if name in items.columns).with_columns(
        pl.Series("title", [_cut(title or "") for title in items["title"]], dtype=pl.String)
    )
    if "had" in ranked.columns:
        ranked = ranked.with_columns(had=pl.when("had").then(pl.lit("yes")).otherwise(pl.lit("")))
    ranked = ranked.drop(name for name in OPTIONAL if name in ranked.columns and not (ranked[name].fill_null("") != "").any())
    rows = [(row["item"], ", ".join(row["used"]) or "nothing", _without(row)) for row in items.to_dicts()]
    speaking = pl.DataFrame(rows, schema=["item", "used", "without"], orient="row")
    return [(title, ranked), *([(WHAT_SPEAKS, speaking)] if (speaking["without"] != "").any() else [])]


def all_used(items: pl.DataFrame) -> list[str]:
    """The modalities that speak for every item of a list, where they are the same for all; else none."""
    found = {tuple(used) for used in items["used"].to_list()}
    return list(found.pop()) if len(found) == 1 else []


def _cut(title: str) -> str:
    return title if len(title) <= TITLE else title[: TITLE - 1] + "…"


def _without(row: dict[str, list[str]]) -> str:
    reasons = row.get("reasons") or [""] * len(row["missing"])
    lacking = [f"{name} ({why})" if why else name for name, why in zip(row["missing"], reasons, strict=True)]
    return "; ".join([*lacking, *(f"{name} (lost in the split)" for name in row.get("lost", ()))])
