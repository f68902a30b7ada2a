"""Commands that prepare data after it has been pulled: fetch-media, extract, merge-shards, encoders."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.contracts import Modality, Several
from schemas.errors import BadValue
from schemas.reporting import Console

if TYPE_CHECKING:
    from milkprep.extract import ExtractReport
    from milkprep.shards import ShardReport

app = typer.Typer()

StorePath = Annotated[Path, typer.Option("--store", "-s", help="The DuckDB file that holds the dataset.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]

DEFAULT_STORE = Path("milk.duckdb")
INTERRUPTED = 130
DASHES = {"ignore_unknown_options": True}  # a statement may start with a comment of SQL, which looks like an option
ALL_FAILED = 1
ENCODERS = (
    "One that `python cli.py encoders` lists; for text also a hub name or a local folder of a transformers model; imported for vectors "
    "that came ready-made. When none is named: MiniLM for text, ViT-B-32 of open_clip for visual, wav2vec 2.0 for audio."
)


@app.command("fetch-media", epilog="Example: python cli.py fetch-media --modality visual --store tiktok.duckdb")
def fetch_media(
    ctx: typer.Context,
    modality: Annotated[Modality, typer.Option(help="What lies at the addresses: visual or audio.")],
    store: StorePath = DEFAULT_STORE,
    cache: Annotated[Path | None, typer.Option(help="Folder of what is fetched; STORE.media beside the store when not given.")] = None,
    concurrency: Annotated[int, typer.Option(help="Addresses asked for at a time.")] = 16,
    per_host: Annotated[int, typer.Option(help="Of these, at one host.")] = 4,
    deadline: Annotated[float, typer.Option(help="Seconds an address may take, repetitions included.")] = 60.0,
    max_bytes: Annotated[int | None, typer.Option(help="Larger answers are refused; what the decoders take when not given.")] = None,
    allow_private: Annotated[bool, typer.Option("--allow-private", help="Follow addresses into this machine and private networks.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try addresses that failed once more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch pictures or sound by address, once each, and record what became of every address. Resumes where it stopped.

    Ends with 1 where it visited addresses and every one of them failed; an address where a server has nothing is no failure.
    """
    from milkprep.media import advice
    from milkprep.media import fetch as engine

    console: Console = ctx.obj
    options = engine.FetchOptions(cache, concurrency, per_host, deadline, max_bytes, allow_private, retry_failed)
    report = engine.fetch_media(store, modality=modality, options=options, reporter=console)
    if as_json:
        console.emit({
            "modality": modality.value, "visited": report.n_visited, "ok": report.n_ok, "bytes": report.n_bytes, "left": report.n_left,
            "failed": sum(report.failures.values()), "cache": str(report.cache) if report.cache.is_dir() else None,
            "seconds": report.seconds, "interrupted": report.interrupted, "summary": report.summary.to_dicts(),
        })  # fmt: skip
    else:
        if report.n_visited:
            content = f"{report.n_ok} hold content, which lies in {report.cache}" if report.n_ok else "none holds content"
            console.say(
                f"{modality}: {report.n_visited} addresses visited in {report.seconds:.1f} s, {report.n_bytes / 1e6:.1f} MB received; {content}."
            )
        elif not report.interrupted:
            console.say(f"Nothing to fetch: no {modality} asset waits at an address nobody has visited.")
        if report.summary.height:
            console.table(report.summary, title=f"{modality} addresses by what became of them")
        for sentence in advice.of_failures(report.summary):
            console.say(sentence)
    if report.interrupted:
        console.say(f"Stopped; {report.n_left} addresses are left. Run the same command again to go on.")
        raise typer.Exit(INTERRUPTED)
    if report.all_failed:
        console.say(advice.of_nothing(report.failures))
        raise typer.Exit(ALL_FAILED)


@app.command(epilog="Example: python cli.py extract --modality text --store gifts.duckdb")
def extract(
    ctx: typer.Context,
    modality: Annotated[Modality, typer.Option(help="What to embed; a video is both visual and audio.")],
    store: StorePath = DEFAULT_STORE,
    encoder: Annotated[str | None, typer.Option(help=ENCODERS)] = None,
    model: Annotated[str | None, typer.Option(help="Which network, where the encoder knows several: a name or a folder.")] = None,
    weights: Annotated[str | None, typer.Option(help="Which trained values: a tag, a hub name, a local file or folder; random is for tests.")] = None,
    fields: Annotated[str, typer.Option(help="For text: columns of items, joined by line breaks; words: word ids of titles.")] = "title,description",
    pooling: Annotated[str | None, typer.Option(help="How token vectors become one: mean, cls or last; for pictures mean, cls or pooled.")] = None,
    prefix: Annotated[str | None, typer.Option(help="For text: words put before every text, as some models want it.")] = None,
    normalise: Annotated[bool, typer.Option("--normalise", help="Scale every vector to length 1.")] = False,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens of a text that are read; the model's own limit when not given.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="For video: frames that are embedded and averaged.")] = None,
    frame_choice: Annotated[str | None, typer.Option(help="For video: even, or scenes for one a scene.")] = None,
    window: Annotated[float | None, typer.Option(help="For sound: seconds a window; longer sound is the mean of its windows.")] = None,
    several: Annotated[
        Several | None, typer.Option(help="Several files an item: the mean of the usable ones (when not given), or the first usable one.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Contents encoded at a time; halved where memory is full.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that decode files; one a core when not given.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; fp16 on a GPU and fp32 elsewhere when not given.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try what could not be embedded once more.")] = False,
    as_default: Annotated[bool, typer.Option("--as-default", help="Show these vectors in place of those shown so far.")] = False,
    shards: Annotated[str | None, typer.Option(help="N/M: only part N of M, into files that `merge-shards` brings into the store.")] = None,
    out: Annotated[Path | None, typer.Option(help="With --shards: folder of all parts; STORE.shards beside the store when not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Embed the content of every item that has some, and record why the others have no vector. Resumes where it stopped."""
    from milkprep import extract as engine
    from milkprep.encoder import EncoderOptions

    console: Console = ctx.obj
    options = EncoderOptions(model, weights, pooling, prefix, normalise, max_length, frames, frame_choice, window, device, precision)
    columns = tuple(part.strip() for part in fields.split(","))
    _refuse_half_meant_shards(shards, out, as_default=as_default)
    if shards is not None:
        from milkprep.engine.shards import Shard
        from milkprep.shards import extract_shard

        part = extract_shard(
            store, modality=modality, shard=Shard.parse(shards), out=out, encoder=encoder, options=options, fields=columns, several=several,
            batch_size=batch_size, workers=workers, retry_failed=retry_failed, reporter=console,
        )  # fmt: skip
        _tell_shard(console, part, store, as_json=as_json)
        return
    report = engine.extract(
        store, modality=modality, encoder=encoder, options=options, fields=columns, several=several,
        batch_size=batch_size, workers=workers, retry_failed=retry_failed, as_default=as_default, reporter=console,
    )  # fmt: skip
    if as_json:
        console.emit(_as_object(report))
    else:
        again = retry_failed and report.n_failed and not report.interrupted
        _tell(console, report, now="None of what failed before could be embedded" if again else None)
    if report.interrupted:
        console.say("Stopped; what was embedded is stored. Run the same command again to go on.")
        raise typer.Exit(INTERRUPTED)


def _refuse_half_meant_shards(shards: str | None, out: Path | None, *, as_default: bool) -> None:
    if shards is None and out is not None:
        raise BadValue("--out is the folder of shards. Say which part is to be done with --shards N/M, or leave it out.")
    if shards is not None and as_default:
        raise BadValue("--as-default is for the vectors of all shards together. Give it to `python cli.py merge-shards`.")


def _tell_shard(console: Console, report: "ShardReport", store: Path, *, as_json: bool) -> None:
    """What became of one part; one that was interrupted ends the command as such."""
    if as_json:
        console.emit({
            "modality": report.modality.value, "encoder": report.identity.encoder, "weights": report.identity.weights, "width": report.identity.width,
            "shard": report.shard.number, "of": report.shard.of, "folder": str(report.folder), "finished": report.finished, "pages": report.n_pages,
            "embedded_now": report.n_embedded_now, "seconds": report.seconds, "stages": report.stages,
        })  # fmt: skip
    else:
        now = f"{report.n_embedded_now} contents embedded now" if report.n_embedded_now else "nothing was left to embed"
        console.say(f"{report.modality}: shard {report.shard}, {now}, in {report.folder}; the store is as it was.")
        console.say(f"It took {report.seconds:.1f} s: " + ", ".join(f"{stage} {spent:.1f} s" for stage, spent in report.stages.items()) + ".")
    if not report.finished:
        console.say("Stopped; what was embedded is kept. Run the same command again to go on.")
        raise typer.Exit(INTERRUPTED)
    console.say(f"When all {report.shard.of} are finished: `python cli.py merge-shards {report.folder.parent} --store {store}`.")


@app.command("merge-shards", epilog="Example: python cli.py merge-shards gifts.duckdb.shards --store gifts.duckdb")
def merge_shards(
    ctx: typer.Context,
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of shards, or that hold some; STORE.shards when none is named.")] = None,
    store: StorePath = DEFAULT_STORE,
    as_default: Annotated[bool, typer.Option("--as-default", help="Show these vectors in place of those shown so far.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the shards that `extract --shards` wrote into the store, all of them in one transaction. The folders are left as they are."""
    from milkprep import shards

    console: Console = ctx.obj
    report = shards.merge_shards(store, folders or (), as_default=as_default, reporter=console)
    if as_json:
        added = {"shards": report.n_shards, "assets_now": report.n_assets_now, "folders": [str(folder) for folder in report.folders]}
        console.emit({**_as_object(report.result), **added})
        return
    _tell(console, report.result, now=f"{report.n_assets_now} assets merged now" if report.n_assets_now else "Nothing was left to merge")
    console.say(f"The {report.n_shards} shards are left where they are; the store needs them no more. They lie in {report.folders[0].parent}.")


def _as_object(report: "ExtractReport") -> dict[str, object]:
    identity = report.feature_set.identity
    return {
        "modality": report.feature_set.modality.value, "feature_set_id": report.feature_set.feature_set_id, "encoder": identity.encoder,
        "weights": identity.weights, "width": identity.width, "shown": report.is_shown, "interrupted": report.interrupted,
        "items": report.n_items, "contents": report.n_contents, "embedded_now": report.n_embedded_now, "failed": report.n_failed,
        "without": report.n_without, "reasons": report.reasons.to_dicts(), "seconds": report.seconds, "stages": report.stages,
    }  # fmt: skip


def _tell(console: Console, report: "ExtractReport", *, now: str | None = None) -> None:
    modality, number, identity = report.feature_set.modality, report.feature_set.feature_set_id, report.feature_set.identity
    how = {"random": " (random weights)", "none": ""}.get(identity.weights, f" ({identity.weights})")
    of = ", of the first usable file of each" if identity.parameters.get("several") == Several.FIRST else ""
    by = f"{identity.encoder}{how}{of}"
    console.say(f"{modality}: {report.n_items} items have a vector of width {identity.width} by {by}.")
    if report.n_embedded_now:
        now = f"{report.n_embedded_now} contents embedded now"
    elif now is None:
        now = "Nothing was embedded before it stopped" if report.interrupted else "Nothing was left to embed"
    console.say(f"{now}, {report.n_failed} failed.")
    if not report.is_shown and not report.interrupted:
        console.say(
            f"features_{modality} shows another feature set, as before. These are set {number}: give --as-default, or "
            f"`python cli.py feature-sets --use {number}`, to show them."
        )
    console.say(f"It took {report.seconds:.1f} s: " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.stages.items()) + ".")
    if report.reasons.height:
        title = f"{report.n_without} items without {modality}" if report.is_shown else f"items without {modality} in features_{modality}"
        console.table(report.reasons, title=title)


@app.command(epilog="Example: python cli.py encoders --modality audio")
def encoders(
    ctx: typer.Context,
    modality: Annotated[Modality | None, typer.Option(help="Only those that embed this.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what can embed what, how wide its vectors are, where its weights come from and whether they are on this machine."""
    from milkprep.inspection import encoder_list

    console: Console = ctx.obj
    offers = encoder_list.offered(modality)
    if as_json:
        console.emit({"encoders": [{"encoder": name, "modality": kind.value} | asdict(offer) for name, kind, offer in offers]})
        return
    for title, frame in encoder_list.tables(offers):
        console.table(frame, title=title)
    console.say("Names stand under the options that take them; `here`: whether the weights are on this machine. docs/extraction.md says more,")
    console.say("and how to give weights of your own, or random ones for tests.")
