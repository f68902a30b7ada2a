"""Whole blocks of JSON metadata into rows of `staged_items` at once.

Promises what `json_blocks` promises; texts and addresses are cleaned as `text_cleaning` says, those of items that nobody wants not
at all.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import polars as pl

from milkprep.pull import json_blocks, text_columns
from milkprep.pull.json_blocks import JsonField, some_text
from milkprep.pull.lines import Block
from milkprep.pull.staging import ITEM_COLUMNS

TEXTS = pl.List(pl.String)
STAGED = {name: TEXTS if name in ("categories", "pictures") else pl.String() for name in ITEM_COLUMNS}


@dataclass(frozen=True, slots=True)
class ItemFields:
    """Where the records of a file keep what is read of an item.

    Args:
        key, title, brand: names of fields that hold a text.
        description, categories: of fields that hold a list of texts.
        pictures: of fields that hold a list of addresses; the first that has some is taken.
        sizes: where those fields hold a list of records: what their addresses are called in them, the best first.
        source: what the file is called in reasons.
    """

    key: str
    title: str
    brand: str
    description: str
    categories: str
    pictures: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    source: str = "the metadata"


def reader(fields: ItemFields, *, wanted: Collection[str] | None) -> Callable[[Block], pl.DataFrame | None]:
    """A function that reads the blocks of a file.

    Args:
        fields: where things are.
        wanted: keys of the items whose texts are carried along; of the others only the key is. None: all are.

    Returns:
        Block to frame with the columns of `ITEM_COLUMNS`, one row a line in order; None where some line has to be looked at by itself.
    """
    columns = {
        "item_key": JsonField(fields.key, "text", required=True), "title": JsonField(fields.title, "text"), "brand": JsonField(fields.brand, "text"),
        "description": JsonField(fields.description, "texts"), "categories": JsonField(fields.categories, "texts"),
        **{f"pictures_{at}": JsonField(name, "texts", parts=fields.sizes) for at, name in enumerate(fields.pictures)},
    }  # fmt: skip
    read = json_blocks.reader(columns)

    def read_items(block: Block) -> pl.DataFrame | None:
        raw = read(block)
        return None if raw is None else staged(raw, wanted=wanted, n_pictures=len(fields.pictures), source=fields.source)

    return read_items


def staged(raw: pl.DataFrame, *, wanted: Collection[str] | None, n_pictures: int = 1, source: str = "the metadata") -> pl.DataFrame:
    """Values as they stand in a file as rows of `staged_items`.

    Args:
        raw: texts `item_key`, `title`, `brand`; lists of texts `description`, `categories` and `pictures_0` to `pictures_<n_pictures - 1>`.
        wanted: keys of the items whose texts are carried along; of the others only the key is. None: all are.
        n_pictures: how many columns of addresses there are; the first that has some is taken.
        source: what the file is called in reasons.

    Returns:
        The columns of `ITEM_COLUMNS`, in the order of the rows.
    """
    # Of Python's set, which is made once: polars would hash millions of wanted keys for every block.
    is_wanted = pl.lit(True) if wanted is None else pl.Series([key in wanted for key in raw["item_key"]], dtype=pl.Boolean)
    raw = raw.with_row_index("row").with_columns(is_wanted.alias("wanted"))
    taken = raw.filter("wanted")
    cleaned = _cleaned(taken, n_pictures=n_pictures, source=source).with_columns(taken["row"])
    bare = raw.filter(~pl.col("wanted")).select("row", "item_key").with_columns(categories=pl.lit([], dtype=TEXTS), pictures=pl.lit([], dtype=TEXTS))
    return pl.concat([cleaned, bare], how="diagonal").sort("row").select(pl.col(name).cast(kind) for name, kind in STAGED.items())


def _cleaned(raw: pl.DataFrame, *, n_pictures: int, source: str) -> pl.DataFrame:
    title, title_reason = text_columns.titles(raw["title"])
    description = text_columns.descriptions(raw["description"])
    addresses = pl.coalesce(_some(pl.col(f"pictures_{at}")) for at in range(n_pictures))
    pictures, picture_reason = text_columns.pictures(raw.select(addresses).to_series(), source=source)
    cleaned = {
        "item_key": raw["item_key"], "title": title, "description": description, "brand": text_columns.names(raw["brand"]),
        "categories": text_columns.name_lists(raw["categories"]), "pictures": pictures,
        "title_reason": title_reason.replace("", f"no title in {source}"), "picture_reason": picture_reason,
    }  # fmt: skip
    no_description = pl.when(pl.col("description").is_null()).then(pl.lit(f"no description in {source}")).alias("description_reason")
    return pl.DataFrame(cleaned).with_columns(no_description)


def _some(lists: pl.Expr) -> pl.Expr:
    """Lists that hold a text with something in it; NULL in place of the others."""
    return pl.when(lists.list.eval(some_text(pl.element())).list.any()).then(lists)
