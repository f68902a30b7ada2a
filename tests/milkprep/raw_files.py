"""Raw files written by hand, in the formats that sources read."""

import gzip
import json
from pathlib import Path

import numpy as np

from milkprep.sources import PullReport, amazon, prepared
from schemas.reporting import Silent
from schemas.store import Store


def review(user="U1", item="I1", *, seconds=1_500_000_000, rating=5.0, **more) -> bytes:
    """A line of Amazon 2018 reviews."""
    fields = {"overall": rating, "verified": True, "reviewerID": user, "asin": item, "reviewText": "Good.", "unixReviewTime": seconds, **more}
    return json.dumps(fields).encode()


def metadata(item="I1", **more) -> bytes:
    """A line of Amazon 2018 metadata, final schema."""
    fields = {"category": ["Cards"], "description": [], "title": f"Item {item}", "brand": "", "imageURL": [], "imageURLHighRes": [], "asin": item}
    return json.dumps(fields | more).encode()


def write_lines(path: Path, lines: list[bytes]) -> Path:
    """Lines to a file, gzipped when its name says so."""
    data = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def pull_amazon(folder: Path, items: list[bytes], reviews: list[bytes], *, store: str = "s.duckdb", core: int = 0, **options) -> PullReport:
    """Pull these lines into a store of this folder."""
    files = {"metadata": write_lines(folder / "meta.json.gz", items), "reviews": write_lines(folder / "reviews.json.gz", reviews)}
    return amazon.pull(folder / store, **files, core=core, reporter=Silent(), **options)


def write_inter(path: Path, pairs: list[tuple[object, ...]], *, header: str = "userID\titemID") -> Path:
    """Pairs to a tab-separated file with a header."""
    path.write_text("\n".join([header, *("\t".join(map(str, pair)) for pair in pairs)]) + "\n")
    return path


def write_vectors(path: Path, rows: list[list[float]], *, dtype="float32") -> Path:
    """Rows to a .npy file."""
    np.save(path, np.array(rows, dtype=dtype))
    return path


def pull_prepared(folder: Path, pairs: list[tuple[object, ...]], *, header: str = "userID\titemID", features=None, **options) -> PullReport:
    """Pull these pairs into a store of this folder."""
    file = write_inter(folder / "toy.inter", pairs, header=header)
    return pull_files(folder, file, features=features, **options)


def table(folder: Path, sql: str, *, store: str = "s.duckdb") -> list[tuple[object, ...]]:
    """Rows of a SELECT on the folder's store."""
    with Store(folder / store, mode="read") as opened:
        return opened.query(sql).rows()


def rejects(folder: Path, source: str | None = None) -> list[tuple[object, ...]]:
    """(line, reason) of the refused lines of a file, by line."""
    found = table(folder, "SELECT source, line, reason FROM rejects ORDER BY source, line")
    return [(line, reason) for file, line, reason in found if source in (None, file)]


def count(report: PullReport, file: str, rule: str) -> int:
    """What the report says of one file and rule; 0 where the rule did not apply."""
    return sum(row["count"] for row in report.steps.iter_rows(named=True) if (row["file"], row["rule"]) == (file, rule))


def pull_files(folder: Path, interactions: Path, *, features=None, **options) -> PullReport:
    """Pull a prepared dataset that lies elsewhere into a store of this folder."""
    return prepared.pull(folder / "s.duckdb", interactions=interactions, features=features or {}, reporter=Silent(), **options)
