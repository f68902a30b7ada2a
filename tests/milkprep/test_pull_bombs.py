"""Files made to exhaust a machine: twenty gigabytes in a few megabytes of gzip, lines of many megabytes, archives in place of files.

Each pull runs in a process of its own, whose peak of memory is measured; it ends in a clear error or in rejects, and leaves nothing.
"""

import gzip
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from isal import igzip
from raw_files import metadata, review, write_lines

from milkprep.sources import amazon
from schemas.errors import SourceError
from schemas.reporting import Silent

#: What a bomb would be unpacked, and the piece it is put together from.
BOMB_BYTES, MEMBER_BYTES = 20 << 30, 64 << 20
#: An interpreter with all libraries, DuckDB's working memory, and blocks of lines on their way.
MOST_MEMORY = 1_200 << 20
CHILD = """
import json, re, sys
from pathlib import Path
from milkprep.sources import amazon
from schemas.errors import MilkError
from schemas.reporting import Silent

folder, said = Path(sys.argv[1]), None
try:
    report = amazon.pull(folder / "s.duckdb", release=2018, metadata=folder / sys.argv[2], reviews=folder / sys.argv[3], core=0, reporter=Silent())
    said = f"{report.n_interactions} interactions"
except MilkError as error:
    said = str(error)
peak_kb = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps([said, 1024 * int(peak_kb)]))
"""


def pulled_in_a_child(folder: Path, *, items: str = "meta.json.gz", reviews: str = "reviews.json.gz") -> tuple[str, int]:
    """What it said, and its peak of memory in bytes; it is stopped after two minutes.

    Its own peak: what getrusage calls one is never less than what the process that started it held.
    """
    command = [sys.executable, "-c", CHILD, str(folder), items, reviews]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2], env=environment, check=False)
    assert done.returncode == 0, done.stderr
    said, peak = json.loads(done.stdout)
    return said, peak


def bomb(path: Path, piece: bytes, *, first: bytes = b"") -> None:
    """Members of gzip, one after the other, each the same piece again and again."""
    member = igzip.compress((piece * (MEMBER_BYTES // len(piece) + 1))[:MEMBER_BYTES], compresslevel=2)
    with path.open("wb") as file:
        file.write(igzip.compress(first))
        for _ in range(BOMB_BYTES // MEMBER_BYTES):
            file.write(member)
    assert path.stat().st_size < 200 << 20


@pytest.mark.parametrize(
    ("piece", "told"),
    [(b"z" * 1024, "expands to more than 200 times its size"), (b"\n", "are refused, the last of them because: blank line")],
    ids=["one line", "blank lines"],
)
@pytest.mark.parametrize("damaged", ["meta.json.gz", "reviews.json.gz"])
def test_twenty_gigabytes_in_a_few_megabytes_are_given_up_in_bounded_memory(tmp_path, piece, told, damaged):
    write_lines(tmp_path / "meta.json.gz", [metadata()])
    write_lines(tmp_path / "reviews.json.gz", [review()])
    bomb(tmp_path / damaged, piece, first=(metadata() if damaged.startswith("meta") else review()) + b"\n")
    said, peak = pulled_in_a_child(tmp_path)
    assert damaged in said
    assert told in said
    assert peak < MOST_MEMORY
    assert {path.name for path in tmp_path.iterdir()} == {"meta.json.gz", "reviews.json.gz"}


def test_lines_just_below_the_limit_are_taken_in_bounded_memory(tmp_path):
    long = [review(f"U{n}", reviewText=os.urandom(7 << 20).hex()) for n in range(20)]
    write_lines(tmp_path / "meta.json.gz", [metadata(description=[os.urandom(7 << 20).hex()])])
    with gzip.open(tmp_path / "reviews.json.gz", "wb", compresslevel=1) as file:
        file.writelines(line + b"\n" for line in long)
    said, peak = pulled_in_a_child(tmp_path)
    assert said == "20 interactions"
    assert peak < MOST_MEMORY


def test_a_zip_is_refused_and_never_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        archive.writestr("../escaped.json", "x")
        archive.writestr("/tmp/escaped.json", "x")
    (tmp_path / "raw.zip").rename(tmp_path / "reviews.json.gz")  # whatever it is called
    write_lines(tmp_path / "meta.json.gz", [metadata()])
    with pytest.raises(SourceError, match=r"reviews\.json\.gz is a zip archive\. Unpack it, or compress it with gzip"):
        amazon.pull(tmp_path / "s.duckdb", metadata=tmp_path / "meta.json.gz", reviews=tmp_path / "reviews.json.gz", reporter=Silent())
    assert {path.name for path in tmp_path.iterdir()} == {"meta.json.gz", "reviews.json.gz"}
