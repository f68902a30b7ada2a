"""Commands that prepare data: pull, extract, build-splits."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.contracts import Modality, Setting
from schemas.errors import BadValue
from schemas.reporting import Console

if TYPE_CHECKING:
    from milkprep.sources import PullReport

app = typer.Typer()
pull = typer.Typer(help="Bring raw data into a store: users, items, interactions, and where each item's content is.", no_args_is_help=True)
app.add_typer(pull, name="pull")

StorePath = Annotated[Path, typer.Option("--store", "-s", help="The DuckDB file that holds the dataset.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Core = Annotated[int, typer.Option(min=0, help="Drop users and items with fewer interactions, again and again until none is left; 0 keeps all.")]

DEFAULT_STORE = Path("milk.duckdb")
ENCODERS = (
    "hashed-ngrams, colour-layout or log-mel, which need no weights; for text also a hub name or a local folder of a transformers "
    "model; imported for vectors that came ready-made. Text takes sentence-transformers/all-MiniLM-L6-v2 when none is named."
)


@pull.command(epilog="Example: python cli.py pull amazon --metadata meta.json.gz --reviews reviews.json.gz --store gifts.duckdb")
def amazon(
    ctx: typer.Context,
    metadata: Annotated[Path, typer.Option(help="Metadata file, JSON lines, gzipped or not.")],
    reviews: Annotated[Path, typer.Option(help="Reviews file, JSON lines, gzipped or not.")],
    store: StorePath = DEFAULT_STORE,
    release: Annotated[int, typer.Option(help="Release of the dataset: 2018, either of its two schemas.")] = 2018,
    core: Core = 5,
    keep_all_items: Annotated[bool, typer.Option("--keep-all-items", help="Keep items nobody interacted with.")] = False,
    media: Annotated[
        Path | None, typer.Option(help="Folder with images/<asin>.jpg and audio/<asin>.wav (or png, webp, gif; mp3, flac, ogg, m4a).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pull an Amazon reviews release: metadata and reviews of one category."""
    from milkprep.sources import amazon as source

    console: Console = ctx.obj
    report = source.pull(
        store, release=release, metadata=metadata, reviews=reviews, core=core, keep_all_items=keep_all_items, media=media, reporter=console
    )
    _tell_pull(console, report, store=store, as_json=as_json)


@pull.command(epilog="Example: python cli.py pull prepared --interactions tiktok.inter --features visual=image_feat.npy --store tiktok.duckdb")
def prepared(
    ctx: typer.Context,
    interactions: Annotated[Path, typer.Option(help="Tab-separated file with a header: userID itemID [rating timestamp].")],
    features: Annotated[list[str] | None, typer.Option(help="MODALITY=FILE.npy, rows by itemID; once a modality (visual, text, audio).")] = None,
    items: Annotated[
        Path | None, typer.Option(help="JSON lines, CSV or TSV file of items: an id, and if wanted key, title, description, image address.")
    ] = None,
    item_id: Annotated[str | None, typer.Option(help="Column of --items that holds itemID; guessed when not given.")] = None,
    item_key: Annotated[str | None, typer.Option(help="Column of --items that holds the item's own key; guessed when not given.")] = None,
    store: StorePath = DEFAULT_STORE,
    core: Core = 0,
    as_json: AsJson = False,
) -> None:
    """Pull a dataset that others prepared in the MMRec layout, ready-made vectors included."""
    from milkprep.sources import prepared as source

    console: Console = ctx.obj
    report = source.pull(
        store, interactions=interactions, features=_features(features or []), items=items, item_id_column=item_id, item_key_column=item_key,
        core=core, reporter=console,
    )  # fmt: skip
    _tell_pull(console, report, store=store, as_json=as_json)


@app.command(epilog="Example: python cli.py extract --modality text --store gifts.duckdb")
def extract(
    ctx: typer.Context,
    modality: Annotated[Modality, typer.Option(help="What to embed.")],
    store: StorePath = DEFAULT_STORE,
    encoder: Annotated[str | None, typer.Option(help=ENCODERS)] = None,
    fields: Annotated[str, typer.Option(help="For text: which columns of items are read, joined by line breaks.")] = "title,description",
    pooling: Annotated[str, typer.Option(help="How token vectors become one: mean.")] = "mean",
    normalise: Annotated[bool, typer.Option("--normalise", help="Scale every vector to length 1.")] = False,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens of a text that are read; the model's own limit when not given.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Contents encoded at a time.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Embed the content of every item that has some, and record why the others have no vector. Resumes where it stopped."""
    from milkprep import extract as engine

    console: Console = ctx.obj
    report = engine.extract(
        store, modality=modality, encoder=encoder, fields=tuple(part.strip() for part in fields.split(",")), pooling=pooling,
        normalise=normalise, max_length=max_length, batch_size=batch_size, device=device, reporter=console,
    )  # fmt: skip
    identity = report.feature_set.identity
    if as_json:
        console.emit({
            "modality": modality.value, "encoder": identity.encoder, "weights": identity.weights, "width": identity.width,
            "items": report.n_items, "contents": report.n_contents, "embedded_now": report.n_embedded_now, "failed": report.n_failed,
            "without": report.n_without, "reasons": report.reasons.to_dicts(), "seconds": report.seconds, "stages": report.stages,
        })  # fmt: skip
        return
    by = f"{identity.encoder} ({identity.weights})"
    console.say(f"{modality}: {report.n_items} items have a vector of width {identity.width} by {by}.")
    now = f"{report.n_embedded_now} contents embedded now" if report.n_embedded_now else "Nothing was left to embed"
    console.say(f"{now}, {report.n_failed} failed.")
    console.say("Time went to " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.stages.items()) + ".")
    if report.reasons.height:
        console.table(report.reasons, title=f"{report.n_without} items without {modality}")


@app.command("build-splits", epilog="Example: python cli.py build-splits --setting ftmt --seed 0 --store tiktok.duckdb")
def build_splits(
    ctx: typer.Context,
    setting: Annotated[Setting, typer.Option(help="Where modalities are lost, training then test: Full or Missing.")],
    store: StorePath = DEFAULT_STORE,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw; the settings of one seed share their parts.")] = 0,
    cold_fraction: Annotated[float, typer.Option(help="Share of items that are new: half validation, half test.")] = 0.2,
    test_loss: Annotated[float, typer.Option(help="Share of validation and test items that lose one modality.")] = 0.5,
    train_loss: Annotated[float, typer.Option(help="Share of training items that lose one modality.")] = 0.3,
    name: Annotated[str | None, typer.Option(help="Name of the split; SETTING-SEED when not given.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite another split of this name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make some items new, take modalities away as the setting says, and store the split with its fingerprint."""
    from milkprep import splits

    console: Console = ctx.obj
    report = splits.build(
        store, setting=setting, seed=seed, cold_fraction=cold_fraction, test_loss=test_loss, train_loss=train_loss, name=name, replace=replace
    )
    if as_json:
        console.emit(asdict(report) | {"statistics": report.statistics.to_dicts()})
        return
    console.table(report.statistics, title=f"split {report.name}")
    console.say(
        f"Split {report.name}, fingerprint {report.fingerprint[:12]}: {'stored' if report.changed else 'was already there, nothing changed'}."
    )
    if setting is not Setting.FTFT and not report.n_lost:
        console.say(f"No item has two modalities, so none can lose one: this split is what {Setting.FTFT} is. Extract or import a second modality.")


def _features(given: list[str]) -> dict[Modality, Path]:
    found: dict[Modality, Path] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or name not in [m.value for m in Modality] or not file:
            raise BadValue(f"--features {text!r} is not MODALITY=FILE.npy with one of {', '.join(Modality)}.")
        if Modality(name) in found:
            raise BadValue(f"--features names {name} twice.")
        found[Modality(name)] = Path(file)
    return found


def _tell_pull(console: Console, report: "PullReport", *, store: Path, as_json: bool) -> None:
    if as_json:
        console.emit(asdict(report) | {"steps": report.steps.to_dicts()})
        return
    console.table(report.steps, title="what each rule did")
    console.say(f"{store} holds {report.n_users} users, {report.n_items} items, {report.n_interactions} interactions.")
    if not report.changed:
        console.say("It held exactly this before: nothing changed.")
