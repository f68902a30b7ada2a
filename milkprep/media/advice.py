"""What a person should do after a run of fetch-media, in sentences: stated reasons alone do not say which flag helps."""

from collections.abc import Mapping

import polars as pl

from milkprep.media.addresses import INSIDE
from milkprep.media.answers import GIVEN_UP, UNREACHABLE
from schemas.contracts import AssetStatus

FAILED = (AssetStatus.FETCH_ERROR, AssetStatus.DECODE_ERROR)


def of_nothing(failures: Mapping[str, int]) -> str:
    """A sentence about a run in which every address failed.

    Args:
        failures: addresses that the run visited, by the reason in words.
    """
    n = sum(failures.values())
    if set(failures) <= {UNREACHABLE, GIVEN_UP} and UNREACHABLE in failures:
        return (
            f"Nothing was fetched: none of the {n} addresses could be reached. Is this machine connected? Proxies named in the environment "
            "are not used."
        )
    return f"Nothing was fetched: all {n} addresses failed."


def of_failures(summary: pl.DataFrame) -> list[str]:
    """Sentences on the addresses of a store that failed, in whichever run.

    Args:
        summary: `status`, `reason`, `addresses`, as `FetchReport.summary`.
    """
    failed = summary.filter(pl.col("status").is_in([status.value for status in FAILED]))
    inside = int(failed.filter(pl.col("reason") == INSIDE)["addresses"].sum())
    others = int(failed["addresses"].sum()) - inside
    told = []
    if inside:
        told.append(
            f"{_addresses(inside)} refused for leading into this machine or a private network. Where that is meant, run this again with "
            "--allow-private --retry-failed: what was refused once is not looked at without the second."
        )
    if others:
        told.append(f"{_addresses(others)} failed, now or before. Only --retry-failed tries such again.")
    return told


def _addresses(n: int) -> str:
    return "1 address" if n == 1 else f"{n} addresses"
