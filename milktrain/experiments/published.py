"""The numbers of the publication, as facts: which table, dataset, setting, row, metric, value.

They were measured by the authors on their own splits and features, and stand beside ours as what they are: what was published.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Number:
    """One published number.

    Args:
        dataset: as the publication calls it.
        setting: of the split.
        row: as the shipped plans call it.
        metric: e.g. `recall@20`, or `loss of ndcg@20` in per cent.
        value: as printed.
    """

    dataset: str
    setting: str
    row: str
    metric: str
    value: float


def names() -> list[str]:
    """Tables and figures of which numbers are known."""
    return [name for name in _file() if name != SOURCE]


def datasets() -> list[str]:
    """Datasets that the publication has numbers of."""
    return list(dict.fromkeys(dataset for name in names() for dataset in _file()[name]))


def source() -> str:
    """Where the numbers are from, in words."""
    return str(_file()[SOURCE]["words"])


def numbers(name: str | None, *, dataset: str | None) -> list[Number]:
    """What was published of one dataset.

    Args:
        name: of a table or figure; of None, or one without known numbers, there are none.
        dataset: as the publication calls it; of None, or another, there are none.
    """
    of_dataset = _file().get(name or "", {}).get(dataset or "", {})
    return [
        Number(str(dataset), setting, row, metric, float(value))
        for setting, rows in of_dataset.items()
        for row, values in rows.items()
        for metric, value in values.items()
    ]


def guess(store_name: str) -> str | None:
    """The dataset that a store's file name says it is of; None where it says nothing.

    Example:
        >>> guess("my_tiktok_v2.duckdb"), guess("gifts.duckdb")
        ('TikTok', None)
    """
    return next((dataset for dataset in datasets() if dataset.casefold() in store_name.casefold()), None)


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("paper.toml").read_text(encoding="utf-8"))
