"""Commands that look into a store: feature-sets, coverage, status, check."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milkprep.commands import DEFAULT_STORE, AsJson, StorePath
from schemas.errors import BadValue
from schemas.reporting import Console

if TYPE_CHECKING:
    import polars as pl

    from milkprep.inspection.coverage import Coverage
    from milkprep.inspection.feature_set_changes import Change
    from schemas.contracts import FeatureSet

app = typer.Typer()


@app.command("feature-sets", epilog="Example: python cli.py feature-sets --store gifts.duckdb")
def feature_sets(
    ctx: typer.Context,
    store: StorePath = DEFAULT_STORE,
    use: Annotated[int | None, typer.Option(metavar="ID", help="Show this set as features_<modality>, and train on it.")] = None,
    remove: Annotated[int | None, typer.Option(metavar="ID", help="Remove this set with its vectors, after asking.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the vectors of a store by what made them; show others of a modality in their place, or remove some."""
    from milkprep.inspection import feature_set_changes as sets

    console: Console = ctx.obj
    if use is not None and remove is not None:
        raise BadValue("--use and --remove are two changes. Give them one after the other.")
    change = sets.use(store, use) if use is not None else None
    if remove is not None:
        chosen = sets.find(store, remove)
        if not yes:
            _ask(console, chosen, store)
        change = sets.remove(store, chosen)
    listed = sets.listed(store)
    if as_json:
        console.emit({"store": str(store), "feature_sets": listed.to_dicts()} | (_as_json(change, removed=remove is not None) if change else {}))
        return
    if change:
        _tell(console, change, removed=remove is not None)
    if not listed.height:
        console.say(f"{store} holds no feature set. Make one with `python cli.py extract --modality text --store {store}`.")
        return
    _show(console, listed, title=f"feature sets of {store}")


def _show(console: Console, listed: "pl.DataFrame", *, title: str) -> None:
    """The list as two tables, for one with everything does not fit a terminal."""
    import polars as pl

    state = pl.when("current").then(pl.lit("shown")).when("finished").then(pl.lit("beside")).otherwise(pl.lit("unfinished"))
    console.table(listed.select("id", "modality", "encoder", "weights", state.alias("state")), title=title)
    seconds = pl.col("seconds").round().cast(pl.Int64)
    console.table(
        listed.select("id", "width", "pooling", "several", "items", "contents", "failed", seconds), title="what each holds, and what it took"
    )


def _ask(console: Console, chosen: "FeatureSet", store: Path) -> None:
    """Have a person say yes.

    Raises:
        BadValue: if nobody is there to say it.
    """
    again = "They came ready-made: only a pull into a new store brings them again." if chosen.identity.encoder == "imported" else ""
    console.say(f"Remove {_in_words(chosen)} from {store}, with all its vectors? {again}".rstrip() + " [y/N]")
    answer = typer.get_text_stream("stdin").readline()  # typer.confirm writes to stdout, which is for data
    if not answer:
        raise BadValue("Nobody answered, so nothing was removed. Give --yes to remove without being asked.")
    if answer.strip().lower() not in ("y", "yes"):
        console.say("Nothing was removed.")
        raise typer.Exit(1)


def _in_words(chosen: "FeatureSet") -> str:
    of = {"random": ", random weights", "none": ""}.get(chosen.identity.weights, f", {chosen.identity.weights}")
    return f"feature set {chosen.feature_set_id} ({chosen.modality} by {chosen.identity.encoder}{of})"


def _tell(console: Console, change: "Change", *, removed: bool) -> None:
    view = f"features_{change.feature_set.modality}"
    if removed:
        console.say(f"Removed {_in_words(change.feature_set)}.")
    if removed and not change.was_shown:
        console.say(f"{view} shows what it showed before.")
    elif change.shown is None:
        console.say(f"{view} shows nothing now: no other set of the modality is finished.")
    else:
        console.say(f"{view} shows {_in_words(change.shown)}{' already' if change.was_shown and not removed else ' now'}.")
    if change.stale_splits:
        names = ", ".join(change.stale_splits)
        console.say(f"These splits do not agree with the availability now, and are not trained on until they are built again: {names}.")


def _as_json(change: "Change", *, removed: bool) -> dict[str, object]:
    return {
        "removed": change.feature_set.feature_set_id if removed else None,
        "shown": change.shown.feature_set_id if change.shown else None,
        "stale_splits": list(change.stale_splits),
    }


@app.command(epilog="Example: python cli.py coverage --split ftmt-0 --png coverage.png --store tiktok.duckdb")
def coverage(
    ctx: typer.Context,
    store: StorePath = DEFAULT_STORE,
    split: Annotated[str | None, typer.Option(help="Show the parts of this split too: what they have, lose, and are left with.")] = None,
    png: Annotated[Path | None, typer.Option(help="Draw it into this file as well.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count the items that have each modality and each combination, why the others lack one, and what a split leaves."""
    from milkprep.inspection import coverage as counting
    from milkprep.inspection import coverage_bars, coverage_plot
    from schemas import pictures

    console: Console = ctx.obj
    if png:
        pictures.refuse(png, store=store)
    counted = counting.count(store, split=split)
    if png:
        coverage_plot.write(counted, png, title=f"Coverage of {store.name}")
    if as_json:
        console.emit({"store": str(store)} | _counts(counted))
    else:
        for title, frame in coverage_bars.tables(counted, plain=not _shows_blocks()):
            console.table(frame, title=title)
    if png:
        console.say(f"Drawn in {png}.")
    if counted.split and not counted.split.agrees:
        console.say(f"Split {split} was drawn from another availability than that of now. Build it again with `build-splits --replace`.")
    if counted.splits and split is None and not as_json:
        console.say(f"What a split leaves is shown with --split: {', '.join(counted.splits)}.")


def _shows_blocks() -> bool:
    """Whether stdout can be told block characters."""
    try:
        "█▏▒·".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _counts(counted: "Coverage") -> dict[str, object]:
    split = counted.split
    return {
        "items": counted.n_items, "modalities": counted.modalities.to_dicts(), "combinations": counted.combinations.to_dicts(),
        "reasons": counted.reasons.to_dicts(),
        "split": {"name": split.name, "setting": split.setting, "agrees": split.agrees, "parts": split.parts.to_dicts()} if split else None,
    }  # fmt: skip


@app.command(epilog="Example: python cli.py status --store gifts.duckdb")
def status(ctx: typer.Context, store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Show what a store holds: counts, pulls, feature sets, availability, rejects, splits."""
    from schemas import queries
    from schemas.store import Store

    console: Console = ctx.obj
    with Store(store, mode="read") as opened:
        found = {name: opened.query(sql) for name, sql in queries.load("schemas.sql", "status.sql").items()}
    if as_json:
        console.emit({"store": str(store), "bytes": store.stat().st_size} | {name: frame.to_dicts() for name, frame in found.items()})
        return
    console.say(f"{store}, {store.stat().st_size / 1e6:.1f} MB")
    for name, frame in found.items():
        shown = _in_short(frame) if name == "feature_sets" else frame
        console.table(shown, title=name.replace("_", " ")) if frame.height else console.say(f"no {name.replace('_', ' ')} yet")


def _in_short(sets: "pl.DataFrame") -> "pl.DataFrame":
    """What of feature sets fits a terminal; the command feature-sets has the rest."""
    import polars as pl

    random = pl.when(pl.col("weights") == "random").then(pl.lit(" (random)")).otherwise(pl.lit(""))
    state = pl.when("current").then(pl.lit("shown")).when("finished").then(pl.lit("beside")).otherwise(pl.lit("unfinished"))
    return sets.select("modality", encoder=pl.col("encoder") + random, items="items", failed="failed", state=state)


@app.command(epilog="Example: python cli.py check --store gifts.duckdb")
def check(ctx: typer.Context, store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List everything in a store that breaks an invariant; exit code 1 if anything does."""
    import polars as pl

    from schemas.store import Store

    console: Console = ctx.obj
    with Store(store, mode="read") as opened:
        broken = opened.violations()
    counts = {name: frame.height for name, frame in broken.items()}
    if as_json:
        console.emit({"store": str(store), "violations": counts})
    else:
        console.table(
            pl.DataFrame({"rule": [name.replace("_", " ") for name in counts], "violations": list(counts.values())}), title=f"checks of {store}"
        )
        for name, frame in broken.items():
            if frame.height:
                console.table(frame.head(10), title=f"{name.replace('_', ' ')}: the first of {frame.height}")
    if any(counts.values()):
        raise typer.Exit(1)
