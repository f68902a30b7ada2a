"""A disk that has no room for an export: one clear error, nothing half-written, and what was there stays."""

import subprocess
import sys
from pathlib import Path

import planted
import pytest

from milkprep import splits
from schemas.contracts import Setting

ROOT = Path(__file__).parents[2]
#: Runs the command line with files that may not grow beyond a number of bytes: what a full disk does, as far as a process can tell.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = ['cli.py', *sys.argv[2:]]
import cli
cli.main()
"""


def exported(store: Path, *, most_bytes: int = 1 << 40, more: tuple[str, ...] = ()) -> tuple[int, str]:
    command = [
        sys.executable,
        "-c",
        LIMITED,
        str(most_bytes),
        "export",
        "--split",
        "ftmt-0",
        "--out",
        str(store.parent / "out"),
        "--store",
        str(store),
    ]
    done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("most_bytes", [0, 300, 4000], ids=["nothing", "a list", "a list but no array"])
def test_without_room_an_export_says_so_and_leaves_what_was_there(most_bytes, tmp_path):
    store = planted.fill(tmp_path / "s.duckdb", n_users=20, n_items=200, n_themes=2, per_user=30)
    splits.build(store, setting=Setting.FTMT, seed=0)
    for more in ((), ("--replace",)):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        code, said = exported(store, most_bytes=most_bytes, more=more)
        assert (code, said.startswith("Error: File too large"), "Traceback" in said) == (1, True, False), said
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        assert exported(store, more=more)[0] == 0
