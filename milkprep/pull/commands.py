"""Commands that bring raw data into a store: one a source, all told the same way."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from milkprep.commands import DEFAULT_STORE, AsJson, StorePath
from schemas.contracts import Modality
from schemas.errors import BadValue
from schemas.reporting import Console

if TYPE_CHECKING:
    from milkprep.sources import PullReport

app = typer.Typer(help="Bring raw data into a store: users, items, interactions, and where each item's content is.", no_args_is_help=True)

Core = Annotated[int, typer.Option(min=0, help="Drop users and items with fewer interactions, again and again until none is left; 0 keeps all.")]
Replace = Annotated[bool, typer.Option("--replace", help="Take the place of what the store holds; vectors of unchanged content stay.")]
COLUMNS_HELP = (
    "ROLE=COLUMN where a guess is wrong: item=sku,user=customer,... A name that holds a comma stands in double quotes: 'title=\"name, long\"'."
)


@app.command(epilog="Example: python cli.py pull amazon --metadata meta.json.gz --reviews reviews.json.gz --store gifts.duckdb")
def amazon(
    ctx: typer.Context,
    metadata: Annotated[Path | None, typer.Option(help="Metadata file, gzipped or not; without it items have no text.")] = None,
    reviews: Annotated[Path | None, typer.Option(help="Reviews file, JSON lines, gzipped or not.")] = None,
    store: StorePath = DEFAULT_STORE,
    release: Annotated[int | None, typer.Option(help="Release of the dataset: 2014, 2018 or 2023; recognised from the files when not given.")] = None,
    category: Annotated[str | None, typer.Option(help="Download the files not named, of this category, e.g. Musical_Instruments.")] = None,
    mirror: Annotated[str | None, typer.Option(envvar="MILK_AMAZON_MIRROR", help="Address to download from, not the release's own.")] = None,
    download_to: Annotated[Path | None, typer.Option(help="Folder for downloads; <store>.raw when not given.")] = None,
    visual_features: Annotated[Path | None, typer.Option(help="Published features, image_features_<Category>.b: the visual vectors.")] = None,
    core: Core = 5,
    keep_all_items: Annotated[bool, typer.Option("--keep-all-items", help="Keep items nobody interacted with.")] = False,
    media: Annotated[
        Path | None, typer.Option(help="Folder with images/<asin>.jpg, audio/<asin>.wav and video/<asin>.mp4 (or other endings).")
    ] = None,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Pull an Amazon reviews release: metadata and reviews of one category."""
    from milkprep.sources import amazon as source

    console: Console = ctx.obj
    report = source.pull(
        store, release=release, metadata=metadata, reviews=reviews, category=category, mirror=mirror, download_to=download_to,
        visual_features=visual_features, core=core, keep_all_items=keep_all_items, media=media, replace=replace, reporter=console,
    )  # fmt: skip
    _tell_pull(console, report, store=store, as_json=as_json)


@app.command(epilog="Example: python cli.py pull prepared --interactions tiktok.inter --features visual=image_feat.npy --store tiktok.duckdb")
def prepared(
    ctx: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(help="Folder of a dataset in the layout of another project, in place of --interactions.")
    ] = None,
    interactions: Annotated[Path | None, typer.Option(help="Tab-separated file with a header: userID itemID [rating timestamp].")] = None,
    features: Annotated[list[str] | None, typer.Option(help="MODALITY=FILE.npy, rows by itemID; once a modality (visual, text, audio).")] = None,
    items: Annotated[
        Path | None, typer.Option(help="JSON lines, CSV or TSV file of items: an id, and if wanted key, title, description, image address.")
    ] = None,
    item_id: Annotated[str | None, typer.Option(help="Column of --items that holds itemID; guessed when not given.")] = None,
    item_key: Annotated[str | None, typer.Option(help="Column of --items that holds the item's own key; guessed when not given.")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="MODALITY=FILE of item ids, one a line, whose rows of features are no vectors.")] = None,
    item_keys: Annotated[Path | None, typer.Option(help="Table of itemID and the items' own keys, such as i_id_mapping.csv.")] = None,
    user_keys: Annotated[Path | None, typer.Option(help="Table of userID and the users' own keys, such as u_id_mapping.csv.")] = None,
    layout: Annotated[str | None, typer.Option(help="Of the folder: mmrec, milk, lattice or recbole; recognised when not given.")] = None,
    variant: Annotated[str | None, typer.Option(help="Of a milk folder: test, train or all, the features with missing modalities.")] = None,
    split_name: Annotated[str, typer.Option(help="What the split of a milk folder is called.")] = "imported",
    embeds: Annotated[Modality, typer.Option(help="What the vectors of a recbole folder describe.")] = Modality.TEXT,
    store: StorePath = DEFAULT_STORE,
    core: Core = 0,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Pull a dataset that others prepared, ready-made vectors included: its files one by one, or a folder in a known layout."""
    from milkprep.sources import prepared as source

    console: Console = ctx.obj
    vectors, gaps = _by_modality(features, "--features", beside=directory), _by_modality(missing, "--missing", beside=directory)
    if directory:
        if directory.is_file():
            raise BadValue(f"{directory} is a file. Name a folder, or files by flags: --interactions FILE, --features MODALITY=FILE and others.")
        if interactions or vectors or items or gaps or item_keys or user_keys:
            raise BadValue(
                f"{directory} is a folder whose files are known by their names. Name the folder, or the files with --interactions and others."
            )
        report = source.pull_folder(
            store, directory, layout=layout, variant=variant, split_name=split_name, embeds=embeds, core=core, replace=replace,
            reporter=console,
        )  # fmt: skip
    elif layout or variant:
        raise BadValue("--layout and --variant are of folders. Name the folder in place of --interactions, or leave them out.")
    elif interactions is None:
        raise BadValue("Name a folder of a prepared dataset, or its interactions with --interactions.")
    else:
        report = source.pull(
            store, interactions=interactions, features=vectors, items=items, item_id_column=item_id,
            item_key_column=item_key, missing=gaps, item_keys=item_keys, user_keys=user_keys, core=core,
            replace=replace, reporter=console,
        )  # fmt: skip
    _tell_pull(console, report, store=store, as_json=as_json)


@app.command(epilog="Example: python cli.py pull tiktok --interactions final_track2_train.txt --titles track2_title.txt --store shorts.duckdb")
def tiktok(
    ctx: typer.Context,
    interactions: Annotated[Path, typer.Option(help="final_track<n>_train.txt: tab separated, no header, 12 whole numbers a line.")],
    titles: Annotated[Path | None, typer.Option(help="track<n>_title.txt: bags of words; embedded by TF-IDF and truncated SVD.")] = None,
    video: Annotated[Path | None, typer.Option(help="track2_video_features.txt: what is seen, 128 numbers a video.")] = None,
    audio: Annotated[Path | None, typer.Option(help="track2_audio_features.txt: what is heard, 128 numbers a video.")] = None,
    faces: Annotated[Path | None, typer.Option(help="track<n>_face_attrs.txt: kept as the table faces.")] = None,
    positive: Annotated[Literal["finish", "like"], typer.Option(help="What makes a view an interaction.")] = "finish",
    text_width: Annotated[int, typer.Option(min=1, help="Length of the vectors of titles.")] = 128,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the truncated SVD.")] = 0,
    store: StorePath = DEFAULT_STORE,
    core: Core = 5,
    keep_all_items: Annotated[bool, typer.Option("--keep-all-items", help="Keep every video that a file names.")] = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Pull the short-video files of the ICME 2019 challenge (ByteDance, TikTok)."""
    from milkprep.sources import tiktok as source

    console: Console = ctx.obj
    report = source.pull(
        store, interactions=interactions, titles=titles, video=video, audio=audio, faces=faces, positive=positive, text_width=text_width,
        seed=seed, core=core, keep_all_items=keep_all_items, replace=replace, reporter=console,
    )  # fmt: skip
    _tell_pull(console, report, store=store, as_json=as_json)


@app.command(epilog="Example: python cli.py pull folder own_catalogue --store own.duckdb")
def folder(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="Folder with interactions.csv (tsv, jsonl, parquet), perhaps items.csv, images/, audio/, video/.")
    ],
    columns: Annotated[list[str] | None, typer.Option(help=COLUMNS_HELP)] = None,
    store: StorePath = DEFAULT_STORE,
    core: Core = 0,
    only_interacted: Annotated[bool, typer.Option("--only-interacted", help="Drop items nobody interacted with.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be taken, and write nothing.")] = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Pull your own catalogue: tables in your own columns, and media beside them."""
    from milkprep.sources import _folder_survey
    from milkprep.sources import folder as source

    console: Console = ctx.obj
    said = tuple(columns or ())
    if dry_run:
        seen = _folder_survey.survey(directory, source.look(directory, said=said))
        if as_json:
            console.emit({"columns": seen.columns.to_dicts(), "counts": seen.counts.to_dicts()})
            return
        console.table(seen.columns, title="what each column is taken for")
        console.table(seen.counts, title="what would be taken")
        console.say("Nothing was written. Say what a column is with --columns ROLE=COLUMN.")
        return
    report = source.pull(store, folder=directory, said=said, core=core, keep_all_items=not only_interacted, replace=replace, reporter=console)
    _tell_pull(console, report, store=store, as_json=as_json)


@app.command(epilog="Example: python cli.py pull microlens microlens --store microlens.duckdb")
def microlens(
    ctx: typer.Context,
    directory: Annotated[Path | None, typer.Argument(help="Folder that holds the parts under their usual names.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="File <name>_pairs.csv: user,item,timestamp.")] = None,
    titles: Annotated[Path | None, typer.Option(help="File <name>_titles.csv: item,title.")] = None,
    covers: Annotated[Path | None, typer.Option(help="Folder of covers, <item>.jpg.")] = None,
    videos: Annotated[Path | None, typer.Option(help="Folder of videos, <item>.mp4.")] = None,
    audio: Annotated[Path | None, typer.Option(help="Folder of sound, <item>.mp3 or <item>.wav.")] = None,
    store: StorePath = DEFAULT_STORE,
    core: Core = 0,
    keep_all_items: Annotated[bool, typer.Option("--keep-all-items", help="Keep items nobody interacted with.")] = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Pull MicroLens: pairs, titles, and folders of covers, videos and sound."""
    from milkprep.sources import microlens as source

    console: Console = ctx.obj
    files = source.files_of(directory, pairs=pairs, titles=titles, covers=covers, videos=videos, audio=audio)
    report = source.pull(store, files=files, core=core, keep_all_items=keep_all_items, replace=replace, reporter=console)
    _tell_pull(console, report, store=store, as_json=as_json)


def _by_modality(given: list[str] | None, flag: str, *, beside: Path | None) -> dict[Modality, Path]:
    """Files by modality; `beside` is what stands on the command line without a flag, perhaps behind a forgotten `=`."""
    found: dict[Modality, Path] = {}
    for text in given or []:
        name, equals, file = text.partition("=")
        if not equals and beside and name in [m.value for m in Modality]:
            raise BadValue(f"{flag} {name} {beside} lacks a =. Write {flag} {name}={beside}.")
        if not equals or name not in [m.value for m in Modality] or not file:
            raise BadValue(f"{flag} {text!r} is not MODALITY=FILE with one of {', '.join(Modality)}.")
        if Modality(name) in found:
            raise BadValue(f"{flag} names {name} twice.")
        found[Modality(name)] = Path(file)
    return found


def _tell_pull(console: Console, report: "PullReport", *, store: Path, as_json: bool) -> None:
    if as_json:
        console.emit(asdict(report) | {"steps": report.steps.to_dicts()})
        return
    console.table(report.steps, title="what each rule did")
    console.say(f"{store} holds {report.n_users} users, {report.n_items} items, {report.n_interactions} interactions.")
    for note in report.notes:
        console.say(note)
    if not report.changed:
        console.say("It held exactly this before: nothing changed.")
