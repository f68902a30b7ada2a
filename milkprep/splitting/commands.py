"""The command build-splits."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milkprep.commands import DEFAULT_STORE, AsJson, StorePath
from schemas.contracts import Setting
from schemas.errors import BadValue
from schemas.reporting import Console

if TYPE_CHECKING:
    from milkprep.splits import SplitReport

app = typer.Typer()

ORDERS, WHICH = ("random", "first-seen"), ("random", "popular", "unpopular")
COLD, SHARE_OF_TEST, SHARE_OF_TRAIN = 0.2, 0.5, 0.3


@app.command("build-splits", epilog="Example: python cli.py build-splits --setting ftmt --seed 0 --store tiktok.duckdb")
def build_splits(
    ctx: typer.Context,
    setting: Annotated[Setting | None, typer.Option(help="Where modalities are lost, training then test: Full or Missing.")] = None,
    store: StorePath = DEFAULT_STORE,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw; splits of one seed and order share their parts.")] = 0,
    cold_fraction: Annotated[float, typer.Option(help="Share of items that are new: half validation, half test.")] = COLD,
    order: Annotated[str, typer.Option(help="Which items are new: random, or first-seen for those first touched last.")] = "random",
    test_loss: Annotated[float | None, typer.Option(help="Share of validation and test items that lose one modality; .5 when not given.")] = None,
    train_loss: Annotated[float | None, typer.Option(help="Share of training items that lose one modality; .3 when not given.")] = None,
    scenario: Annotated[str | None, typer.Option(help="In place of --test-loss, e.g. complete=.1,one=.45,two=.45.")] = None,
    loss: Annotated[list[str] | None, typer.Option(help="In place of --setting, e.g. test:visual=.3; may be repeated.")] = None,
    missing: Annotated[str, typer.Option(help="Which items lose modalities: random, or rather the popular or the unpopular.")] = "random",
    given: Annotated[Path | None, typer.Option("--from", help="Nothing is drawn: a file with item_key, part, and maybe lost_visual, ...")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the split; SETTING-SEED when not given, with what else was asked between.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite another split of this name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make some items new, take modalities away as asked, and store the split with its fingerprint. docs/splits.md says more."""
    from milkprep import splits
    from milkprep.splitting import grammar
    from milkprep.splitting.parts import Order
    from milkprep.splitting.plan import Missing

    if given is not None:
        drawn = {"--setting": setting, "--scenario": scenario, "--loss": loss, "--test-loss": test_loss, "--train-loss": train_loss}
        drawn |= {"--seed": seed or None, "--cold-fraction": None if cold_fraction == COLD else cold_fraction}
        drawn |= {"--order": order != "random" or None, "--missing": missing != "random" or None}
        if named := [flag for flag, value in drawn.items() if value is not None]:
            raise BadValue(f"--from takes a split as the file says it, so {named[0]} means nothing. Leave one of them out.")
        _tell(ctx.obj, splits.build_given(store, given, name=name, replace=replace), as_json=as_json)
        return
    _refuse_unknown("--order", order, ORDERS)
    _refuse_unknown("--missing", missing, WHICH)
    if test_loss is not None and (scenario is not None or loss):
        raise BadValue("--test-loss is of --setting; --scenario and --loss say themselves what new items lose. Leave it out.")
    if train_loss is not None and loss:
        raise BadValue("--train-loss is of --setting; --loss train:MODALITY=SHARE says what training loses. Leave it out.")
    report = splits.build(
        store, setting=setting, seed=seed, cold_fraction=cold_fraction, test_loss=SHARE_OF_TEST if test_loss is None else test_loss,
        train_loss=SHARE_OF_TRAIN if train_loss is None else train_loss,
        scenario=None if scenario is None else grammar.parse_scenario(scenario), losses=grammar.parse_losses(loss) if loss else None,
        order=Order(order), which=Missing(missing), name=name, replace=replace,
    )  # fmt: skip
    _tell(ctx.obj, report, as_json=as_json)


def build_named(
    store_path: Path, *, setting: Setting | None, scenario: Sequence[float] | None, seed: int, name: str, dry_run: bool = False
) -> None:  # fmt: skip
    """Build a split under a name, for whoever needs one that is not there: as the command of that setting, or scenario, and seed does.

    Args:
        store_path: the store.
        setting: where modalities are lost.
        scenario: shares of new items that lose 0, 1, ... modalities; None: as the setting has it.
        seed: of the draw.
        name: of the split.
        dry_run: store nothing, and say only whether it could be built.

    Raises:
        MilkError: as `milkprep.splits.build`.
    """
    from milkprep import splits

    if dry_run:
        splits.check(store_path, setting=setting, scenario=scenario, seed=seed, name=name)
        return
    splits.build(store_path, setting=setting, scenario=scenario, seed=seed, name=name)


def _refuse_unknown(flag: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise BadValue(f"{flag} {given!r} is none of {', '.join(known)}.")


def _tell(console: Console, report: "SplitReport", *, as_json: bool) -> None:
    from milkprep.inspection import split_tables

    if as_json:
        console.emit(asdict(report) | {"statistics": report.statistics.to_dicts(), "losses": report.losses.to_dicts()})
        return
    for title, frame in split_tables.tables(report.statistics, name=report.name):
        console.table(frame, title=title)
    console.table(report.losses, title="items by the modalities they lose")
    for note in report.notes:
        console.say(note)
    console.say(
        f"Split {report.name}, fingerprint {report.fingerprint[:12]}: {'stored' if report.changed else 'was already there, nothing changed'}."
    )
    if report.setting is not Setting.FTFT and not report.n_lost:
        console.say(f"No item has two modalities, so none can lose one: this split is what {Setting.FTFT} is. Extract or import a second modality.")
