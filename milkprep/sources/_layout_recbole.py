"""Datasets in RecBole's atomic files: tab-separated tables whose headers name and type each column, keys as texts.

`<name>.inter`, or `<name>.train.inter`, `.valid.inter` and `.test.inter`, which split interactions and are taken together; perhaps
`<name>.item` and `<name>.itememb`, whose vectors name their items. A list (`token_seq`) is one text.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from milkprep.pull import catalogue, delimited, input_files, items, pairs, table_rows, vectors
from milkprep.pull.delimited import Layout
from milkprep.pull.input_files import PullRequest
from milkprep.pull.lines import first_lines, read_blocks
from milkprep.pull.pull_report import PullReport
from milkprep.pull.tables import Table
from milkprep.pull.vectors import Refused, VectorRows
from milkprep.sources._layouts import header_of, not_read, optional
from schemas import queries
from schemas.contracts import Modality, RejectReason
from schemas.errors import BadValue, SourceError
from schemas.reporting import Reporter
from schemas.store import Store

PARTS = ("train", "valid", "test")
#: Role -> names that columns have, without their types.
PAIR_ROLES = {"user": ("user_id", "uid"), "item": ("item_id", "iid"), "rating": ("rating",), "timestamp": ("timestamp",)}
ITEM_ROLES = {
    "item": ("item_id", "iid"), "title": ("title", "movie_title", "item_name", "name"), "description": ("description",), "brand": ("brand",),
    "categories": ("categories", "category", "class", "genre"),
}  # fmt: skip
#: Lines of one file are told from those of another by what is above these bits.
LINE_BITS = 40
ROWS_LOOKED_AT = 1000
SOURCE = "interactions"


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one dataset: tables, and vectors where there are some."""

    interactions: tuple[Path, ...]
    items: Path | None
    vectors: Path | None

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        return [*self.interactions, *(path for path in (self.items, self.vectors) if path)]


def holds(folder: Path) -> bool:
    """Whether a folder holds interactions of this layout."""
    return any(_roles(header_of(path), PAIR_ROLES).keys() >= {"user", "item"} for path in folder.glob("*.inter"))


def pull(store_path: Path, folder: Path, *, modality: Modality, core: int, replace: bool, reporter: Reporter) -> PullReport:
    """Read the dataset into a store.

    Args:
        store_path: the DuckDB file; made when absent.
        folder: where the files lie.
        modality: what the vectors of `.itememb` describe.
        core: users and items with fewer interactions are dropped until none is left; 0 keeps all.
        replace: take the place of another pull that the store holds.
        reporter: told how far reading is.

    Raises:
        BadValue: if a number is out of range.
        SourceError: if a file is empty, damaged or of another kind. Nothing is stored then.
        DataError: if the store holds another pull, or no interaction is left.
    """
    if core < 0:
        raise BadValue(f"--core {core} is below 0. 0 keeps every interaction.")
    files = _found(folder)
    described = input_files.describe(files.paths, reporter=reporter)
    of_vectors = modality.value if files.vectors else None
    parameters = {"core": core, "layout": "recbole", "embeds": of_vectors, "names": [path.name for path in files.paths]}
    request = PullRequest("prepared", parameters, described)
    unread = not_read(folder, files.paths, store=store_path)
    read = partial(_pull, request=request, files=files, modality=modality, sha256=described[-1].sha256, core=core, unread=unread, reporter=reporter)
    return catalogue.pulled(store_path, request, replace=replace, read=read)


def _found(folder: Path) -> Files:
    whole = [path for path in sorted(folder.glob("*.inter")) if path.name.count(".") == 1]
    parts = [path for part in PARTS for path in sorted(folder.glob(f"*.{part}.inter"))]
    if len(whole) > 1 or len({path.name.split(".")[0] for path in parts}) > 1:
        raise SourceError(f"{folder} holds several datasets: {', '.join(path.name for path in [*whole, *parts])}. Put one in a folder of its own.")
    chosen = whole or parts
    name = chosen[0].name.split(".")[0]
    return Files(tuple(chosen), optional(folder, f"{name}.item"), optional(folder, f"{name}.itememb"))


def _roles(header: list[str], roles: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Role -> column, as a typed header names it."""
    named = {column.partition(":")[0].strip().lower(): column for column in header if ":" in column}
    return {role: named[name] for role, names in roles.items() for name in names[::-1] if name in named}


def _table(path: Path, roles: dict[str, tuple[str, ...]], needed: tuple[str, ...], *, label: str) -> tuple[Table, dict[str, str]]:
    names, n_lines = delimited.header_of(path, separator="\t")
    found = _roles(names, roles)
    if not set(needed) <= found.keys():
        raise SourceError(
            f"{path} has the columns {', '.join(names[:8])}. Needed, each with its type: {', '.join(roles[role][0] for role in needed)}."
        )
    return Table(path, label, "tsv", tuple(names), Layout("\t", tuple(names), header_lines=n_lines)), found


def _pull(
    store: Store, *, request: PullRequest, files: Files, modality: Modality, sha256: str, core: int, unread: list[str], reporter: Reporter
) -> PullReport:
    sql = queries.load("milkprep.sql", "recbole.sql")
    labels = dict(zip(files.paths, input_files.labels(files.paths), strict=True))
    items.create_tables(store)
    pairs.create_tables(store)
    store.run(sql["create"])
    n_lines = {}
    for number, path in enumerate(files.interactions, 1):
        table, columns = _table(path, PAIR_ROLES, ("user", "item"), label=labels[path])
        n_lines[labels[path]], _ = table_rows.stage_pairs(store, table, columns, reporter=reporter)
        store.run(sql["shift_lines"], number=number, bits=1 << LINE_BITS)
        store.run(sql["remember_file"], number=number, source=labels[path])
    pairs.number_keys(store)
    pairs.drop_repeats(store, source=SOURCE)
    pairs.keep_core(store, core=core, source=SOURCE, reporter=reporter)
    store.run(sql["place_rejects"], source=SOURCE, bits=1 << LINE_BITS)
    store.run(sql["forget_unplaced"], source=SOURCE)
    store.run(sql["write_placed"])
    about = labels[files.interactions[0]]
    if files.items:
        about = labels[files.items]
        table, columns = _table(files.items, ITEM_ROLES, ("item",), label=about)
        n_lines[about] = table_rows.stage_items(store, table, columns, reporter=reporter)
        items.drop_repeats(store, source=about)
    extra = {(about, rule): n for rule, n in items.keep(store, keep_all=True, source=about).items()}
    notes = [f"Taken as layout recbole: {', '.join(path.name for path in files.paths)}."]
    if files.vectors:
        n_lines[labels[files.vectors]] = sum(block.n_lines for block in read_blocks(files.vectors)) - 1
        notes.append(f"The vectors of {files.vectors.name} were taken for {modality} vectors; --embeds says otherwise.")
    write_items = partial(_write_items, store, files, modality, sha256, labels, reporter)
    return catalogue.write(store, request, n_lines=n_lines, extra=extra, write_items=write_items, notes=[*notes, *unread])


def _write_items(store: Store, files: Files, modality: Modality, sha256: str, labels: dict[Path, str], reporter: Reporter) -> None:
    items.write(store)
    if files.items and not (files.vectors and modality is Modality.TEXT):
        items.write_assets(store, modalities=[Modality.TEXT])
    if files.vectors:
        label = labels[files.vectors]
        width = _width(files.vectors)
        identity = vectors.imported(label, sha256=sha256, width=width)
        vectors.write(store, modality, identity, batches=_batches(files.vectors, width), label=label, reporter=reporter)


def _width(path: Path) -> int:
    """Length of most of the first vectors, whatever their order."""
    header, *rows = first_lines(path, n=1 + ROWS_LOOKED_AT)
    if header.count(b"\t") != 1 or b":float_seq" not in header or not rows:
        raise SourceError(f"{path} begins {header[:60]!r}. Needed are two tab-separated columns, a key and a float_seq, and a line below them.")
    widths = Counter(len(row.partition(b"\t")[2].split()) for row in rows)
    width = max(widths, key=lambda each: (widths[each], each))
    if not 0 < width <= vectors.WIDEST:
        raise SourceError(f"The vectors of {path} have {width} values; a store holds vectors of 1 to {vectors.WIDEST}. Check the file.")
    return width


def _batches(path: Path, width: int) -> Iterator[VectorRows]:
    rows = islice(((n, line) for block in read_blocks(path) for n, line in enumerate(block.lines, block.first_line)), 1, None)
    while batch := list(islice(rows, vectors.batch_rows(width, most=10_000))):
        lines, keys, values, refused = [], [], [], []
        for number, line in batch:
            key, vector, why = _parsed(line, width)
            if why:
                refused.append(Refused(number, key, *why))
            else:
                lines.append(number)
                keys.append(key)
                values.append(vector)
        yield VectorRows(lines, keys, np.array(values, dtype=np.float32).reshape(len(values), width), refused)


def _parsed(line: bytes, width: int) -> tuple[str, "np.ndarray[tuple[int], np.dtype[np.float32]] | None", tuple[RejectReason, str] | None]:
    raw, tab, text = line.rstrip(b"\r").partition(b"\t")
    key = raw.decode("utf-8", "replace").strip()
    if not tab or not key:
        return key, None, (RejectReason.MALFORMED, "it is no key and its vector, separated by a tab")
    numbers = text.split()
    if len(numbers) != width:
        return key, None, (RejectReason.WRONG_WIDTH, f"has {len(numbers)} values, not {width}")
    try:
        with np.errstate(over="ignore"):
            return key, np.array(numbers, dtype=np.float64).astype(np.float32), None
    except ValueError:
        return key, None, (RejectReason.WRONG_TYPE, "holds a value that is no number")
