"""Interaction files in the MMRec layout: tab separated, a header, one (user, item) pair a line, dense ids from 0."""

import math
from dataclasses import dataclass

import polars as pl

from milkprep.pull import pairs
from milkprep.pull.lines import first_lines
from milkprep.pull.staging import LineError, LineShape, RawFile, stage_lines
from schemas.contracts import RejectReason
from schemas.errors import SourceError
from schemas.reporting import Reporter
from schemas.store import Store

REQUIRED = ("userID", "itemID")
OPTIONAL = ("rating", "timestamp", "x_label")
ROWS_LOOKED_AT = 100
#: More digits than any id the store can hold.
ID_DIGITS = 9
LARGEST_ID = 10**ID_DIGITS - 1
LARGEST_RATING = 3.4e38  # of float32
LAST_SECOND = 253_402_300_799  # of the year 9999
SCHEMA = {"user_number": pl.Int32, "item_number": pl.Int32, "rating": pl.Float32, "seconds": pl.Int64}

Pair = tuple[int, int, float | None, int | None]


@dataclass(frozen=True, slots=True)
class InterFile:
    """One `.inter` file, looked into but not read."""

    raw: RawFile
    shape: LineShape[Pair]

    @property
    def source(self) -> str:
        """The name that its rejects go by."""
        return self.raw.label

    @property
    def shown(self) -> str:
        """The file, for messages."""
        return str(self.raw.path)

    def stage(self, store: Store, *, reporter: Reporter) -> dict[str, int]:
        """Read it into `pairs` and drop repeats; lines read, by label."""
        n_lines = stage_lines(store, self.raw, self.shape, header_lines=1, reporter=reporter)
        pairs.drop_repeats(store, source=self.source)
        return {self.source: n_lines}

    def place(self, store: Store) -> None:
        """Its rejects bear its name already."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the header says each value is."""

    n: int
    user: int
    item: int
    rating: int | None
    timestamp: int | None

    def decode(self, line: bytes) -> Pair:
        """One pair; raises `LineError` with the column that does not fit."""
        fields = line.rstrip(b"\r").split(b"\t")
        if len(fields) != self.n:
            detail = f"{len(fields)} tab-separated values where the header has {self.n}" if line.strip() else "blank line"
            raise LineError(RejectReason.MALFORMED, detail)
        rating = None if self.rating is None else _number(fields[self.rating], "rating", limit=LARGEST_RATING)
        seconds = None if self.timestamp is None else _number(fields[self.timestamp], "timestamp", limit=LAST_SECOND)
        return _id(fields[self.user], "userID"), _id(fields[self.item], "itemID"), rating, None if seconds is None else math.floor(seconds)


def shape_of(raw: RawFile) -> LineShape[Pair]:
    """What the lines below the header mean; the header is line 1.

    Raises:
        SourceError: if the header lacks a column, or no line below it fits.
    """
    header, *rows = first_lines(raw.path, n=ROWS_LOOKED_AT + 1)
    columns = _columns(raw, header.rstrip(b"\r").decode("utf-8", "replace").split("\t"))
    refusals: list[LineError] = []
    for row in rows:
        try:
            columns.decode(row)
            break
        except LineError as error:
            refusals.append(error)
    else:
        why = f"line 2 is refused: {refusals[0]}" if refusals else "it ends after the header"
        raise SourceError(f"{raw.path} holds no interaction: {why}. Needed are whole numbers from 0 as userID and itemID, separated by tabs.")
    return LineShape("pairs", columns.decode, _vet, _rows)


def _columns(raw: RawFile, header: list[str]) -> _Columns:
    if any(header.count(name) != 1 for name in REQUIRED):
        raise SourceError(
            f"The first line of {raw.path} has the columns {', '.join(map(repr, header[:8]))}. "
            f"Needed, separated by tabs: {', '.join(REQUIRED)}; known besides: {', '.join(OPTIONAL)}. Rename the columns."
        )
    place = {name: header.index(name) for name in (*REQUIRED, *OPTIONAL) if name in header}
    return _Columns(len(header), place["userID"], place["itemID"], place.get("rating"), place.get("timestamp"))


def _id(field: bytes, name: str) -> int:
    if not field.strip():
        raise LineError(RejectReason.MISSING_KEY, f"no {name}")
    if not field.isdigit() or len(field) > ID_DIGITS:
        raise LineError(RejectReason.WRONG_TYPE, f"{name} {_shown(field)} is no whole number from 0 to {10**ID_DIGITS - 1}")
    return int(field)


def _number(field: bytes, name: str, *, limit: float) -> float | None:
    if not field.strip():
        return None
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not abs(value) <= limit or (name == "timestamp" and value < 0):
        unit = " in seconds since 1970" if name == "timestamp" else ""
        raise LineError(RejectReason.WRONG_TYPE, f"{name} {_shown(field)} is no number{unit}")
    return value


def _shown(field: bytes) -> str:
    return repr(field[:20].decode("utf-8", "replace"))


def _vet(_: list[Pair]) -> None:
    """Decoding has refused all there is to refuse."""


def _rows(found: list[Pair]) -> pl.DataFrame:
    return pl.DataFrame(found, schema=SCHEMA, orient="row")
