"""Commands that use a finished run: evaluate, recommend, similar."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milktrain.commands import PROFILES, SHOWN, AsJson, RunsFolder
from milktrain.profiles import Profile
from milktrain.using.among import Among
from schemas.reporting import Console
from schemas.wording import counted

if TYPE_CHECKING:
    import polars as pl

    from milktrain.using.judging import Judgement
    from milktrain.using.likeness import Similar
    from milktrain.using.new_items import NewRecommendations
    from milktrain.using.recommending import Recommendations
    from milktrain.using.trained import Trained
    from schemas.new_items import Embed

app = typer.Typer()

RunName = Annotated[str, typer.Option("--run", help="A run folder, or a run's name or the start of it that no other run has.")]
RunStore = Annotated[
    Path | None, typer.Option("--store", "-s", help="The store it was trained on; the one it names, beside its folder of runs, when not given.")
]
Length = Annotated[int, typer.Option("-k", min=1, help="Length of the list.")]
Device = Annotated[str, typer.Option(help="Where scores are computed: cpu, cuda or auto.")]
AMONG = "new: items that training did not see; all: these and the others."
ITEMS = (
    "A file of new items, a line each (.jsonl, .csv, .tsv, .parquet): their keys in a column `item`, and what there is of `title`, `description`, "
    "`brand`, `categories`, `image`, `audio`, `video` (paths below its folder). Embedded as the run's own were, scored, ranked; docs/recommending.md."
)
#: Shown of lines of a file that are no items, and of items that have no score.
SHOWN_REFUSALS = 10


def room(embed: "Embed") -> typer.Typer:
    """The commands of this room.

    Args:
        embed: turns a file of new items into vectors; given by who knows both sides.
    """
    app.command(epilog="Example: python cli.py recommend --run ftmt-0-milk-published --user 3 --store tiktok.duckdb")(_recommend_with(embed))
    return app


@app.command(epilog="Example: python cli.py evaluate --run ftmt-0-milk-published --store tiktok.duckdb")
def evaluate(
    ctx: typer.Context,
    run: RunName,
    split: Annotated[str | None, typer.Option(help="Another split of the same store; the run's own when not given.")] = None,
    profile: Annotated[Profile | None, typer.Option(help=PROFILES)] = None,
    eval_memory: Annotated[int, typer.Option(min=1, help="MB for the scores of a chunk when ranking; it changes no metric.")] = 128,
    by_group: Annotated[bool, typer.Option("--groups", help="Show metrics by what items miss and by how active users are, too.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write metrics of each user and by group, as Parquet, into this new folder.")] = None,
    store: RunStore = None,
    runs: RunsFolder = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Judge a finished run again: on its own split, where the recorded numbers come out again, or on another of the same store.

    Items of another split that the run was trained on are not new to it: they are left out, and counted.
    """
    from milktrain.using import judging

    console: Console = ctx.obj
    if out:
        judging.refuse_taken(out)
    trained = _opened(run, store=store, runs=runs, device=device)
    found = judging.judge(trained, split=split, profile=profile, memory=eval_memory << 20)
    if out:
        judging.write(found, out)
    if as_json:
        console.emit(_of_judgement(found) | ({"groups": found.by_group.to_dicts()} if by_group else {}))
        return
    console.table(_metrics(found), title=f"{found.run} on {found.split}")
    if by_group:
        for part in found.parts:
            console.table(_groups(found, part), title=f"{part}, by group")
    for line in _remarks(found) + ([f"Metrics of each user and by group: {out}."] if out else []):
        console.say(line)


def _recommend_with(embed: "Embed") -> Callable[..., None]:
    def recommend(
        ctx: typer.Context,
        run: RunName,
        user: Annotated[str, typer.Option(help="Key of a user of the store.")],
        k: Length = 10,
        among: Annotated[Among, typer.Option(help=AMONG)] = Among.NEW,
        items: Annotated[Path | None, typer.Option(help=ITEMS)] = None,
        store: RunStore = None,
        runs: RunsFolder = None,
        device: Device = "cpu",
        as_json: AsJson = False,
    ) -> None:
        """List the items that a run scores highest for a user, and which modalities speak for each.

        What the user had in training is never listed. With --items, the items of a file are ranked in place of the catalogue's, all of them.
        """
        from milktrain.using import new_items, recommending

        console: Console = ctx.obj
        trained = _opened(run, store=store, runs=runs, device=device)
        if items is None:
            _tell_list(console, recommending.recommend(trained, user, k=k, among=among), as_json=as_json)
            return
        new_items.check(trained, user)
        new = embed(items, trained.feature_sets, console)
        _tell_new(console, new_items.recommend_new(trained, user, new, k=k), file=items, as_json=as_json)

    return recommend


@app.command(epilog="Example: python cli.py similar --run ftmt-0-milk-published --item 7 -k 5 --store tiktok.duckdb")
def similar(
    ctx: typer.Context,
    run: RunName,
    item: Annotated[str, typer.Option(help="Key of an item of the store.")],
    k: Length = 10,
    among: Annotated[Among, typer.Option(help=AMONG)] = Among.ALL,
    new: Annotated[bool, typer.Option("--new", help="Short for --among new.")] = False,
    store: RunStore = None,
    runs: RunsFolder = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """List the items nearest to an item in the space that a run shares between modalities and with users, by cosine."""
    from milktrain.using import likeness

    console: Console = ctx.obj
    trained = _opened(run, store=store, runs=runs, device=device)
    found = likeness.similar(trained, item, k=k, among=Among.NEW if new else among)
    if as_json:
        console.emit(_as_object(found))
        return
    _show(console, found.items, title=f"items near {found.item}{f' ({found.title})' if found.title else ''} by {found.run}")
    compared = counted(found.n_candidates, "item was", many="items were")
    console.say(f"{found.item} is placed by its {', '.join(found.used)}; {compared} compared, by cosine in the run's space.")
    _say_ties(console, found.n_tied, n_ranked=found.n_candidates, scores=found.items["cosine"].to_list(), what="cosine")
    _say_without(console, found.n_without)


def _opened(run: str, *, store: Path | None, runs: Path | None, device: str) -> "Trained":
    from milktrain.using import trained

    return trained.open_run(run, store=store, runs=runs, device=device)


def _metrics(found: "Judgement") -> "pl.DataFrame":
    import polars as pl

    from milktrain import metrics

    rows = [
        {"part": part.value, "users": judged.per_user.height, "candidates": judged.n_candidates} | metrics.chosen(judged.means, SHOWN)
        for part, judged in found.parts.items()
    ]
    return pl.DataFrame(rows)


def _groups(found: "Judgement", part: str) -> "pl.DataFrame":
    """Of one part, at the longest list: all that fits a terminal."""
    longest = max(int(name.partition("@")[2]) for name in found.by_group.columns if "@" in name)
    return found.by_group.filter(part=part).select("by", "group", "n_users", "n_items", *(f"{name}@{longest}" for name in SHOWN))


def _remarks(found: "Judgement") -> list[str]:
    lines = [f"Ranked: {found.protocol['candidates']}. Masked: {found.protocol['masked']}."]
    for part, out in found.left_out.items():
        if out.n_trained_on:
            what = f"{counted(out.n_trained_on, 'item')} with {counted(out.n_interactions, 'interaction')}"
            lines.append(f"{part}: {what} left out: the run was trained on them.")
        if part not in found.parts:
            lines.append(f"{part}: not judged, no item of it is new to the run.")
        elif out.n_chosen_by and part == "test":
            what = counted(out.n_chosen_by, "item was", many="items were")
            lines.append(f"{part}: {what} among the run's validation items, which decided when its training stopped.")
    if found.reproduced is not None:
        lines.append("These are the numbers that the run recorded, to the bit." if found.reproduced else DIFFERENT)
    return lines


DIFFERENT = "These differ from the numbers that the run recorded: it was trained with another version, on another device, or changed since."


def _of_judgement(found: "Judgement") -> dict[str, object]:
    from dataclasses import asdict

    names = {"val": "validation"}
    return {
        "run": found.run, "split": found.split, "own_split": found.own, "profile": found.profile.value, "protocol": dict(found.protocol),
        "reproduced": found.reproduced, "left_out": {names.get(part, part.value): asdict(out) for part, out in found.left_out.items()},
        "n_users": {names.get(part, part.value): judged.per_user.height for part, judged in found.parts.items()},
        "n_candidates": {names.get(part, part.value): judged.n_candidates for part, judged in found.parts.items()},
    } | {names.get(part, part.value): judged.means for part, judged in found.parts.items()}  # fmt: skip


def _tell_list(console: Console, found: "Recommendations", *, as_json: bool) -> None:
    if as_json:
        console.emit(_as_object(found))
        return
    _show(console, found.items, title=f"{found.among} items for {found.user} by {found.run}")
    masked = f", {found.n_masked} that the user had in training are masked" if found.among is Among.ALL else ""
    console.say(f"{counted(found.n_candidates, 'item was', many='items were')} ranked{masked}.")
    wider = f", or ask with --among {Among.ALL}" if found.among is Among.NEW else ""
    instead = f"Name a run of a model that knows content, as milk{wider}." if found.n_training else ""
    _say_ties(console, found.n_tied, n_ranked=found.n_candidates, scores=found.items["score"].to_list(), instead=instead)
    _say_without(console, found.n_without)
    _say_unknown_user(console, found.user, found.n_training)


def _tell_new(console: Console, found: "NewRecommendations", *, file: Path, as_json: bool) -> None:
    if as_json:
        console.emit(_as_object(found))
        return
    scored = found.items.height - found.n_without
    _show(console, found.items.head(scored + SHOWN_REFUSALS), title=f"items of {file.name} for {found.user} by {found.run}")
    _say_ties(console, found.n_tied, n_ranked=found.n_given - found.n_without, scores=found.items["score"].drop_nulls().to_list())
    console.say(f"above: the share of the catalogue's {found.n_compared} new items that score lower for {found.user}.")
    for line in found.refused[:SHOWN_REFUSALS]:
        console.say(f"{file.name} line {line.line} is no item: {line.reason}.")
    if len(found.refused) > SHOWN_REFUSALS:
        console.say(f"{len(found.refused) - SHOWN_REFUSALS} more lines of {file.name} are no items; --json lists them.")
    if found.n_without:
        console.say(f"{found.n_without} of {found.n_given} items have no modality that the run uses, so they have no score.{_more(found.n_without)}")
    for note in found.notes:
        console.say(note)
    _say_unknown_user(console, found.user, found.n_training)


def _more(n: int) -> str:
    return f" {SHOWN_REFUSALS} of them are shown; --json has all." if n > SHOWN_REFUSALS else ""


def _say_ties(console: Console, n_tied: int, *, n_ranked: int, scores: list[float], what: str = "score", instead: str = "") -> None:
    from milktrain.using import ties

    for line in ties.in_words(n_tied, n_ranked=n_ranked, scores=scores, what=what, instead=instead):
        console.say(line)


def _say_without(console: Console, n: int) -> None:
    if n:
        what = "it, so it is left out." if n == 1 else "them, so they are left out."
        console.say(f"{counted(n, 'item has', many='items have')} no modality that the run uses: nothing is known of {what}")


def _say_unknown_user(console: Console, user: str, n_training: int) -> None:
    if not n_training:
        console.say(f"{user} has no interaction in training, so the run knows nothing of their taste: this list is as good as chance.")


def _show(console: Console, items: "pl.DataFrame", *, title: str) -> None:
    from milktrain.using import telling

    for name, frame in telling.tables(items, title=title):
        console.table(frame, title=name)
    if used := telling.all_used(items):
        console.say(f"{', '.join(used)} {'speaks' if len(used) == 1 else 'speak'} for every item of the list.")


def _as_object(found: "Recommendations | NewRecommendations | Similar") -> dict[str, object]:
    from dataclasses import fields

    return {each.name: _plain(getattr(found, each.name)) for each in fields(found)}


def _plain(value: object) -> object:
    from dataclasses import asdict

    if hasattr(value, "to_dicts"):
        return value.to_dicts()
    return [asdict(each) if hasattr(each, "__dataclass_fields__") else each for each in value] if isinstance(value, list | tuple) else value
