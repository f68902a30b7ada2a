"""The short-video files of the ICME 2019 challenge (ByteDance, TikTok): who finished or liked what, titles, vectors and faces.

The organisers' files are no longer handed out; this reads them from disk. Titles are bags of anonymous words and become vectors by
TF-IDF and truncated SVD; what is seen and heard comes as vectors of width 128.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from milkprep.pull import catalogue, input_files, pairs, vectors
from milkprep.pull import items as staged_items
from milkprep.pull.input_files import PullRequest
from milkprep.pull.pull_report import PullReport
from milkprep.pull.staging import LineShape, RawFile, stage_lines
from milkprep.pull.vectors import Refused, VectorRows
from milkprep.sources import _tiktok_items, _tiktok_views, _title_vectors
from milkprep.sources._tiktok_items import WIDTH
from milkprep.sources._tiktok_views import Positive
from schemas import queries
from schemas.contracts import Modality, RejectReason
from schemas.errors import BadValue
from schemas.reporting import Reporter
from schemas.store import Store

#: Rows of vectors that are held at once.
PAGE_ROWS = 50_000
WIDEST_TEXT = 4096
#: Role of a file -> how its lines are read.
SHAPES: dict[str, Callable[[RawFile], LineShape[Any]]] = {
    "titles": _tiktok_items.titles,
    "video": _tiktok_items.video,
    "audio": _tiktok_items.audio,
    "faces": _tiktok_items.faces,
}
#: Role of a file that has one line an item -> the table it is staged in.
DESCRIBING = {"titles": "staged_titles", "faces": "staged_faces"}
MODALITIES = {"video": Modality.VISUAL, "audio": Modality.AUDIO}


def pull(
    store_path: Path,
    *,
    interactions: Path,
    titles: Path | None = None,
    video: Path | None = None,
    audio: Path | None = None,
    faces: Path | None = None,
    positive: Positive = "finish",
    text_width: int = 128,
    seed: int = 0,
    core: int = 5,
    keep_all_items: bool = False,
    replace: bool = False,
    reporter: Reporter,
) -> PullReport:
    """Read the files of one track into a store.

    Ids of the files are the keys of users and items. Interactions have no time: the files say only when a video was made.

    Args:
        store_path: the DuckDB file; made when absent.
        interactions: `final_track<n>_train.txt`, tab separated: uid, user_city, item_id, ..., finish, like, ..., video_duration.
        titles: `track<n>_title.txt`, JSON lines of `item_id` and `title_features`; becomes `title_words` and the text feature set.
        video: `track2_video_features.txt`, JSON lines with `video_feature_dim_128`; becomes the visual feature set.
        audio: `track2_audio_features.txt`, JSON lines with `audio_feature_128_dim`; becomes the audio feature set.
        faces: `track<n>_face_attrs.txt`, JSON lines with `face_attrs`; becomes the table `faces`.
        positive: a view is an interaction where this column is 1.
        text_width: length of the vectors of titles, 1 to 4096; lowered where the titles span fewer dimensions.
        seed: of the truncated SVD.
        core: drop interactions of users and items with fewer, until none is left; 0 keeps all.
        keep_all_items: keep every item that a file names, with or without interactions.
        replace: take the place of another pull that the store holds.
        reporter: told how far reading is.

    Returns:
        What was taken and dropped; unchanged when the store already holds this pull.

    Raises:
        BadValue: if a file that was named is not there, or a setting is out of its range.
        SourceError: if a file is in another format, empty or damaged, or none of its vectors can be used. Nothing is stored then.
        DataError: if the store holds another pull, or no interaction is left.
    """
    given = {"interactions": interactions, "titles": titles, "video": video, "audio": audio, "faces": faces}
    paths = {role: path for role, path in given.items() if path is not None}
    _check(paths, positive=positive, text_width=text_width, core=core)
    files = {role: RawFile(path, label) for (role, path), label in zip(paths.items(), input_files.labels(list(paths.values())), strict=True)}
    settings = _Settings(positive, text_width, seed, core, keep_all_items)
    shapes = {"interactions": _tiktok_views.shape_of(files["interactions"], positive=positive)}
    shapes |= {role: SHAPES[role](file) for role, file in files.items() if role in SHAPES}
    parameters: dict[str, object] = {"positive": positive, "core": core, "keep_all_items": keep_all_items}
    parameters |= {"text_width": text_width, "seed": seed} if titles else {}
    # The names of files, as rejects, assets and feature sets bear them; their folders make no other pull.
    parameters |= {"names": {role: path.name for role, path in paths.items()}}
    request = PullRequest("tiktok", parameters, input_files.describe(list(paths.values()), reporter=reporter))
    read = partial(_pull, request=request, files=files, shapes=shapes, settings=settings, reporter=reporter)
    return catalogue.pulled(store_path, request, replace=replace, read=read)


@dataclass(frozen=True, slots=True)
class _Settings:
    """The settings of a pull, as `pull` explains them."""

    positive: Positive
    text_width: int
    seed: int
    core: int
    keep_all_items: bool


def _check(paths: dict[str, Path], *, positive: str, text_width: int, core: int) -> None:
    for role, path in paths.items():
        input_files.require_file(path, flag=f"--{role}")
    if positive not in get_args(Positive):
        raise BadValue(f"--positive {positive} is none of {', '.join(get_args(Positive))}.")
    if not 1 <= text_width <= WIDEST_TEXT:
        raise BadValue(f"--text-width {text_width} is not between 1 and {WIDEST_TEXT}.")
    if core < 0:
        raise BadValue(f"--core {core} is below 0. 0 keeps every interaction.")


def _pull(
    store: Store, *, request: PullRequest, files: dict[str, RawFile], shapes: dict[str, LineShape[Any]], settings: _Settings, reporter: Reporter
) -> PullReport:
    sql, source = _sql(), files["interactions"].label
    staged_items.create_tables(store)
    pairs.create_tables(store)
    store.run(sql["create"])
    n_lines = {file.label: stage_lines(store, file, shapes[role], reporter=reporter) for role, file in files.items()}
    store.run(sql["see_items"], keep_all=settings.keep_all_items)
    extra = {(source, "not_positive"): int(store.query(sql["count_not_positive"]).item())}
    store.run(sql["positive_pairs"])
    store.run(sql["forget_views"])
    pairs.number_keys(store)
    pairs.drop_repeats(store, source=source)
    pairs.keep_core(store, core=settings.core, source=source, reporter=reporter)
    for role, table in DESCRIBING.items():
        if role in files:
            _drop_repeats(store, table, source=files[role].label)
    store.run(sql["keep_items"])
    for role, table in DESCRIBING.items():
        if role in files:
            store.run(sql["reject_without_item"].format(table=table), source=files[role].label)
    sha256 = {role: file.sha256 for role, file in zip(files, request.inputs, strict=True)}
    notes: list[str] = []
    write_items = partial(_write_items, store, files, sha256, settings, notes, reporter)
    return catalogue.write(store, request, n_lines=n_lines, extra=extra, write_items=write_items, notes=notes)


def _drop_repeats(store: Store, table: str, *, source: str) -> None:
    sql = _sql()
    store.run(sql["find_repeats"].format(table=table))
    store.run(sql["reject_repeats"], source=source)
    store.run(sql["drop_repeats"].format(table=table))


def _write_items(store: Store, files: dict[str, RawFile], sha256: dict[str, str], settings: _Settings, notes: list[str], reporter: Reporter) -> None:
    sql = _sql()
    for name in ("write_items", "write_title_words", "write_faces"):
        store.run(sql[name])
    if not store.query(sql["count_kept"]).item():
        return  # nothing is left, which is the end of the pull
    for role, modality in MODALITIES.items():
        if role in files:
            label = files[role].label
            identity = vectors.imported(label, sha256=sha256[role], width=WIDTH)
            vectors.write(store, modality, identity, batches=_batches(store, modality), label=label, reporter=reporter)
    if "titles" in files:
        notes += _title_vectors.write(store, titles=files["titles"].label, width=settings.text_width, seed=settings.seed, reporter=reporter)


def _batches(store: Store, modality: Modality) -> Iterator[VectorRows]:
    """The vectors of a modality in the order of lines; those of another width are refused."""
    sql = _sql()
    last = int(store.query(sql["last_vector_line"], modality=modality.value).item())
    for after in range(0, last, PAGE_ROWS):
        page = store.query(sql["vector_page"], modality=modality.value, after=after, n=PAGE_ROWS)
        sound = page["width"].to_numpy() == WIDTH
        whole, others = page.filter(sound), page.filter(~sound)
        refused = [
            Refused(line, key, RejectReason.WRONG_WIDTH, f"has {width} values, not {WIDTH}")
            for line, key, width in others.select("line", "item_key", "width").iter_rows()
        ]
        rows = whole["vector"].to_numpy().reshape(-1, WIDTH).astype(np.float32)  # (n, 128)
        yield VectorRows(whole["line"].to_list(), whole["item_key"].to_list(), rows, refused)


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "tiktok.sql")
