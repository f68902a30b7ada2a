"""Pairs with dense ids that lie in several files: lists of items a user, as text (`uid iid iid ...`) or JSON (user -> items).

The unit that is read, taken and refused is an entry, one item of one user's list, numbered from 1 in each file; a line that cannot
be understood is one refused entry. All of a dataset's files are in memory at once, 12 bytes an entry.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from milkprep.pull.lines import LINE_LIMIT, read_blocks
from milkprep.pull.staging import REJECT_SCHEMA, TEXT_START_CHARACTERS, RawFile
from schemas import queries
from schemas.contracts import RejectReason
from schemas.errors import SourceError
from schemas.reporting import Reporter
from schemas.store import Store

#: What rejects of all files together go by until each is given back to its file.
SOURCE = "interactions"
ID_DIGITS = 9
PLACES = {"source": pl.String, "place": pl.Int64, "user_number": pl.Int32, "item_number": pl.Int32}
#: A JSON file is one value, so it is held whole.
LARGEST_JSON = 2 << 30

Refusal = tuple[RejectReason, str, str]
Entry = tuple[int, int] | Refusal
Parse = Callable[[Path], Iterator[Entry]]


@dataclass(frozen=True, slots=True)
class PairFiles:
    """The files of one dataset.

    Args:
        files: what to read, the first before the others where they repeat each other.
        parse: a file to its entries.
    """

    files: Sequence[RawFile]
    parse: Parse

    @property
    def source(self) -> str:
        """The name that rejects of pairs go by until `place` is called."""
        return SOURCE

    @property
    def shown(self) -> str:
        """The files, for messages."""
        return " and ".join(str(file.path) for file in self.files)

    def stage(self, store: Store, *, reporter: Reporter) -> dict[str, int]:
        """Read all files into `pairs`, repeats left out; entries read of each, by label."""
        frames, n_entries = [], {}
        with reporter.progress("reading interactions", total=len(self.files), unit="files") as progress:
            for file in self.files:
                taken: list[tuple[str, int, int, int]] = []
                refused: list[tuple[str, int, str, str, str]] = []
                for place, entry in enumerate(self.parse(file.path), 1):
                    if len(entry) == 2:
                        taken.append((file.label, place, *entry))
                    else:
                        reason, detail, start = entry
                        refused.append((file.label, place, reason.value, detail, start))
                n_entries[file.label] = len(taken) + len(refused)
                if not taken and refused:
                    raise SourceError(f"{file.path} holds no interaction; its first entry is refused: {refused[0][3]}.")
                store.append("staged_rejects", pl.DataFrame(refused, schema=REJECT_SCHEMA, orient="row"))
                frames.append(pl.DataFrame(taken, schema=PLACES, orient="row"))
                progress.advance()
        self._write(store, pl.concat(frames).with_row_index("line", offset=1).cast({"line": pl.Int64}))
        return n_entries

    def place(self, store: Store) -> None:
        """Give the rejects of pairs back to the files they are from."""
        store.run(queries.load("milkprep.sql", "prepared.sql")["place_rejects"], source=SOURCE)

    def _write(self, store: Store, entries: pl.DataFrame) -> None:
        pair = ["user_number", "item_number"]
        first = pl.col("line").first().over(pair)
        repeated = entries.with_columns(first.alias("first")).filter(pl.col("line") != pl.col("first"))
        kept = entries.select(pl.col("line").alias("first"), pl.col("source").alias("of"), pl.col("place").alias("at"))
        told = repeated.join(kept, on="first", how="left", maintain_order="left").select(
            "source", pl.col("place").alias("line"), pl.lit(RejectReason.DUPLICATE_PAIR.value).alias("reason"),
            pl.format("same user and item as entry {} of {}", "at", "of").alias("detail"), pl.lit(None, dtype=pl.String).alias("text_start"),
        )  # fmt: skip
        store.append("staged_rejects", told)
        left = entries.join(repeated, on="line", how="anti", maintain_order="left")
        store.append("pair_places", left.select("line", "source", "place"))
        store.append("pairs", left.select("line", *pair).with_columns(pl.col("line").alias("digest")))

    def parts(self, store: Store) -> pl.DataFrame:
        """Which file each pair that was taken is from: `item_number`, `source`, `n` pairs."""
        return store.query(queries.load("milkprep.sql", "prepared.sql")["pairs_by_file"])


def text_lists(path: Path) -> Iterator[Entry]:
    """Entries of lines `uid iid iid ...`; a user without items has none.

    Raises:
        SourceError: if the file cannot be read or is empty.
    """
    for block in read_blocks(path):
        for number, line in enumerate(block.lines, block.first_line):
            fields = line.split()
            if number in block.too_long:
                yield RejectReason.LINE_TOO_LONG, f"line {number} is longer than {LINE_LIMIT >> 20} MiB", _shown(line)
            elif not fields:
                yield RejectReason.MALFORMED, f"line {number} is blank", ""
            elif not all(field.isdigit() and len(field) <= ID_DIGITS for field in fields):
                yield RejectReason.MALFORMED, f"line {number} is no list of whole numbers from 0 to {10**ID_DIGITS - 1}", _shown(line)
            else:
                user, *items = map(int, fields)
                for item in items:
                    yield user, item


def json_lists(path: Path) -> Iterator[Entry]:
    """Entries of one JSON object of user -> list of items.

    Raises:
        SourceError: if it is no such object.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise SourceError(f"{path} is larger than {LARGEST_JSON >> 30} GiB of JSON in one piece. Write it as lines `uid iid iid ...`.")
        users = msgspec.json.decode(path.read_bytes(), type=dict[str, list[object]])
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON object of user -> list of items: {error}.") from error
    for user, items in users.items():
        for item in items:
            if not (user.isascii() and user.isdigit() and len(user) <= ID_DIGITS):
                yield RejectReason.WRONG_TYPE, f"user {user[:20]!r} is no whole number from 0 to {10**ID_DIGITS - 1}", ""
            elif not isinstance(item, int) or isinstance(item, bool) or not 0 <= item < 10**ID_DIGITS:
                yield (
                    RejectReason.WRONG_TYPE,
                    f"an item of user {user} is no whole number from 0 to {10**ID_DIGITS - 1}",
                    str(item)[:TEXT_START_CHARACTERS],
                )
            else:
                yield int(user), item


def _shown(line: bytes) -> str:
    return line[: 4 * TEXT_START_CHARACTERS].decode("utf-8", "replace")[:TEXT_START_CHARACTERS]
