"""Commands that train and judge: train, runs, models."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milktrain.profiles import Profile
from schemas.contracts import Modality
from schemas.errors import BadValue
from schemas.reporting import Console
from schemas.wording import counted

if TYPE_CHECKING:
    import polars as pl

    from milktrain.recipe import Run
    from milktrain.repeats import Repeats

app = typer.Typer()

StorePath = Annotated[Path, typer.Option("--store", "-s", help="The DuckDB file that holds the dataset.")]
RunsFolder = Annotated[Path | None, typer.Option("--runs", help="Folder of run folders; `runs` beside the store when not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]

DEFAULT_STORE = Path("milk.duckdb")
SETTINGS = (
    "NAME=VALUE, one setting laid over all else; repeat for more: dim, alpha, beta, lam, reg, reduction, unbiased, alignment, "
    "regularisation, negatives, batch_size, learning_rate, optimizer, precision, max_epochs, evaluate_every, patience, stop_metric, cutoffs, seed; "
    "more in milktrain/config.py."
)
SPLITS = "Name of a split, as build-splits gave it, or a pattern of names such as 'ftmt-*'; repeat for more. Of several, mean and sd are told."
SEEDS = "Train with so many seeds, --seed the first, and tell mean and sd; what is finished is not trained again."
PROFILES = (
    "What is ranked: milk, all new items together as in the authors' code; test-only, those of the judged part; "
    "all-items, every item of the split, the user's training items masked."
)
GROUPS = "Of one run, show test metrics by what the items miss and by how active the users are, too; they are in the run folder in any case."
SHOWN = ("recall", "ndcg")
LISTED_CUTOFF = 20
LISTED = ("run_id", "store", "modalities", "best_epoch", "val_ndcg_10", "test_recall_20", "test_ndcg_20")


@app.command(epilog="Example: python cli.py train --split ftmt-0 --preset published --store tiktok.duckdb --set beta=1000")
def train(
    ctx: typer.Context,
    split: Annotated[list[str], typer.Option(help=SPLITS)],
    store: StorePath = DEFAULT_STORE,
    model: Annotated[str, typer.Option(help="milk, or another that `python cli.py models` lists.")] = "milk",
    preset: Annotated[str, typer.Option(help="default, published (the authors' code) or paper (the equations).")] = "default",
    config: Annotated[Path | None, typer.Option(help="TOML file of settings laid over the preset.")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help=SETTINGS)] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the training; the preset's when not given.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=10_000, help=SEEDS)] = None,
    modalities: Annotated[str | None, typer.Option(help="Which modalities to use, e.g. visual,text; all with vectors when not given.")] = None,
    profile: Annotated[Profile, typer.Option(help=PROFILES)] = Profile.MILK,
    eval_memory: Annotated[int, typer.Option(min=1, help="MB for the scores of a chunk when ranking; it changes no metric.")] = 128,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 and so on, or auto for a GPU where there is one.")] = "cpu",
    by_group: Annotated[bool, typer.Option("--groups", help=GROUPS)] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves too, to the folder `tensorboard` beside the run.")] = False,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Train a model on a split, stop early on validation, judge it on validation and test, and write a run folder.

    A killed run goes on with the same command.
    """
    from milktrain import config as settings
    from milktrain import recipe, repeats

    console: Console = ctx.obj
    asked = changes_of(changes or []) | ({} if seed is None else {"seed": str(seed)})
    chosen = settings.load(preset, model=model, file=config, changes=asked)
    names = repeats.matching(store, split)
    repeated = seeds is not None or len(names) > 1
    if repeated and by_group:
        raise BadValue("--groups shows one run. Of several, ask `python cli.py sql` for run_groups, see docs/evaluation.md.")
    one = partial(
        recipe.train, store, model=model, modalities=modalities_of(modalities), profile=profile, eval_memory=eval_memory << 20, device=device,
        tensorboard=tensorboard, runs_folder=runs or store.parent / "runs", again=not repeated,
    )  # fmt: skip
    if repeated:
        _tell_repeats(console, repeats.run(one, splits=names, config=chosen, n_seeds=seeds or 1, reporter=console), as_json=as_json)
        return
    run = one(split=names[0], config=chosen, reporter=console)
    if as_json:
        console.emit(summary(run) | ({"groups": groups_of(run).to_dicts()} if by_group else {}))
        return
    tell(console, {model: metrics_of(run)}, title=f"{model} on {names[0]}")
    if by_group:
        console.table(of_groups(groups_of(run)), title="test, by group")
    for line in remarks(run):
        console.say(line)


@app.command(epilog="Example: python cli.py runs --store tiktok.duckdb")
def runs(
    ctx: typer.Context,
    store: StorePath = DEFAULT_STORE,
    folder: RunsFolder = None,
    sort: Annotated[str | None, typer.Option(help="Column to sort by, greatest first: a setting or a metric, e.g. test_recall_20.")] = None,
    as_json: AsJson = False,
) -> None:
    """List finished runs of a store with their metrics, or with --runs all of a folder. docs/runs.md has questions to them in SQL."""
    from milktrain import runs as run_folders
    from schemas.plugins import check_known

    console: Console = ctx.obj
    place = folder or store.parent / "runs"
    if not place.is_dir():
        raise BadValue(f"There is no folder of runs at {place}. Name one with --runs, or the store they lie beside with --store.")
    frame = run_folders.frame(place, store=None if folder else store.name)
    if sort:
        check_known(sort, frame.columns, what="column of runs")
        frame = frame.sort(sort, descending=True, nulls_last=True, maintain_order=True)
    if as_json:
        console.emit(frame.to_dicts())
        return
    shown = dict.fromkeys((*LISTED, *([sort] if sort else [])))
    console.table(frame.select(column for column in shown if column in frame.columns), title=f"{counted(frame.height, 'run')} in {place}")


@app.command(epilog="Example: python cli.py models duif")
def models(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A model, to show its settings, source and departures; a list of all when not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the models that `train --model` knows, or say what one is, which settings it alone has, which it shares, and their ranges."""
    from dataclasses import asdict

    import polars as pl

    from milktrain import listing
    from schemas.plugins import check_known

    console: Console = ctx.obj
    known = {each.name: each for each in listing.models()}
    if name is None:
        rows = [{"model": each.name, "what it is": each.what} for each in known.values()]
        console.emit(rows) if as_json else console.table(pl.DataFrame(rows), title=f"{len(rows)} models; `python cli.py models NAME` says more")
        return
    check_known(name, list(known), what="model")
    if as_json:
        settings = [asdict(each) for each in listing.settings(name)]
        apart = {"own": [each for each in settings if each["own"]], "common": [each for each in settings if not each["own"]]}
        about = {"model": name, "about": known[name].about, "collaborative": listing.needs_collaborative(name)}
        console.emit(about | {"settings": settings} | apart)
        return
    console.say(known[name].about)
    for title, frame in listing.tables(name):
        console.table(frame, title=title)
    for line in listing.remarks(name):
        console.say(line)


def remarks(run: "Run") -> list[str]:
    """What a reader of a run's metrics should know: what was judged, how training went, and where all of it is."""
    manifest, lines = run.manifest, _of_judging(run)
    if manifest["epochs"]:
        epochs, best, config = manifest["epochs"], manifest["best_epoch"], manifest["config"]
        assert isinstance(epochs, int)
        assert isinstance(best, int)
        assert isinstance(config, dict)
        went_on = f", gone on at epoch {run.resumed_at} where it had been stopped" if run.resumed_at else ""
        lines.append(f"{counted(epochs, 'epoch')} of {manifest['seconds_per_epoch']:.2f} s, best on validation at {best}{went_on}.")
        if epochs - best <= config["patience"]:
            lines.append(f"It ended at max_epochs, not for want of patience: --set max_epochs={2 * epochs} may find better.")
    return [*lines, f"Run folder: {run.folder}{' (replaces the same run from before)' if run.replaced else ''}"]


def _of_judging(run: "Run") -> list[str]:
    """What was ranked and judged, and how much chance would find of it."""
    manifest = run.manifest
    n_candidates, n_users, without, rule = (manifest[name] for name in ("n_candidates", "n_users", "n_users_without_positives", "protocol"))
    assert isinstance(n_candidates, int)
    assert isinstance(n_users, dict)
    assert isinstance(without, dict)
    assert isinstance(rule, dict)
    left_out = f"{counted(without['test'], 'user')} without {'is' if without['test'] == 1 else 'are'} left out"
    chance = min(1.0, LISTED_CUTOFF / n_candidates)
    lines = [
        f"Ranked: {rule['candidates']}.",
        f"That is {counted(n_candidates, 'candidate')} at test: a random list of {LISTED_CUTOFF} finds {chance:.4f} of what is relevant.",
        f"Masked: {rule['masked']}. Ties: {rule['ties']}.",
        f"Judged: {rule['users']}, {n_users['test']} at test; {left_out}.",
    ]
    if manifest["model"] == "milk" and "," not in str(manifest["modalities"]):
        lines.append(
            f"Only {manifest['modalities']} has vectors: alignment and invariance have nothing to act on, this is plain BPR on one modality."
        )
    return lines


def _tell_repeats(console: Console, found: "Repeats", *, as_json: bool) -> None:
    from milktrain import repeats

    parts = {"validation": "val", "test": "test"}
    if as_json:
        spread = {name: {"mean": found.mean[part], "sd": found.sd[part] if found.sd else None} for name, part in parts.items()}
        console.emit({"over": found.over, "n": found.n, "runs": [summary(run) for run in found.runs]} | spread)
        return
    for name, part in parts.items():
        console.table(repeats.table(found, part=part, metrics=SHOWN), title=name)
    if found.over == "splits":
        console.say(f"Counts below are of {found.runs[-1].manifest['split']}; other splits have other items and users.")
    for line in [*_of_judging(found.runs[-1]), *found.in_words()]:
        console.say(line)


def groups_of(run: "Run") -> "pl.DataFrame":
    """Test metrics by what the items miss and by how active the users are: every column of `groups.frame`."""
    from milktrain import runs

    return runs.read_groups(run.folder).filter(part="test")


def of_groups(by_group: "pl.DataFrame") -> "pl.DataFrame":
    """Of groups, what fits a terminal: sizes, and the metrics of the longest list."""
    longest = max(int(name.partition("@")[2]) for name in by_group.columns if "@" in name)
    return by_group.select("by", "group", "n_users", "n_items", *(f"{name}@{longest}" for name in SHOWN))


def summary(run: "Run") -> dict[str, object]:
    """What a program wants to know of a run: identity, epochs, and validation and test metrics."""
    manifest = run.manifest
    names = (
        "run_id",
        "model",
        "split",
        "seed",
        "preset",
        "modalities",
        "epochs",
        "best_epoch",
        "seconds_per_epoch",
        "seconds",
        "n_candidates",
        "profile",
    )
    metrics, n_users = metrics_of(run), manifest["n_users"]
    assert isinstance(n_users, dict)
    return {name: manifest[name] for name in names} | {
        "n_users": {"validation": n_users["val"], "test": n_users["test"]},
        "folder": str(run.folder),
        "reused": run.reused,
        "validation": metrics["val"],
        "test": metrics["test"],
    }


def tell(console: Console, judged: dict[str, dict[str, dict[str, float]]], *, title: str) -> None:
    """A table of metrics: a row a model and part, a column a metric.

    Args:
        console: where it is shown.
        judged: means by metric, by part, by name of the model.
        title: of the table.
    """
    import polars as pl

    from milktrain import metrics

    rows = [{"model": name, "part": part} | metrics.chosen(means, SHOWN) for name, parts in judged.items() for part, means in parts.items()]
    console.table(pl.DataFrame(rows), title=title)


def metrics_of(run: "Run") -> dict[str, dict[str, float]]:
    """Means by metric, by part."""
    metrics = run.manifest["metrics"]
    assert isinstance(metrics, dict)
    return metrics


def changes_of(given: list[str]) -> dict[str, str]:
    """What --set says: values as typed, by setting."""
    pairs = [text.partition("=") for text in given]
    wrong = [name for name, equals, _ in pairs if not equals]
    if wrong:
        raise BadValue(f"--set takes NAME=VALUE; {', '.join(wrong)} has no '='.")
    return {name: value for name, _, value in pairs}


def modalities_of(text: str | None) -> list[Modality] | None:
    """What --modalities says; None where it is not given."""
    if text is None:
        return None
    names = [part.strip() for part in text.split(",")]
    unknown = [name for name in names if name not in [m.value for m in Modality]]
    if unknown:
        raise BadValue(f"--modalities {text!r}: {', '.join(unknown)} is none of {', '.join(Modality)}.")
    return [Modality(name) for name in names]
