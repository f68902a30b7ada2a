"""A disk that has no room for an export: one clear error, nothing half-written, and what was there stays."""

from pathlib import Path

import full_disk
import planted
import pytest
from typer.testing import CliRunner

import cli
from milkprep import splits
from schemas.contracts import Setting


def words(store: Path, *more: str) -> tuple[object, ...]:
    return ("export", "--split", "ftmt-0", "--out", store.parent / "out", "--store", store, *more)


@pytest.mark.parametrize("most_bytes", [0, 300, 4000], ids=["nothing", "a list", "a list but no array"])
def test_without_room_an_export_says_so_and_leaves_what_was_there(most_bytes, tmp_path):
    store = planted.fill(tmp_path / "s.duckdb", n_users=20, n_items=200, n_themes=2, per_user=30)
    splits.build(store, setting=Setting.FTMT, seed=0)
    for more in ((), ("--replace",)):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        code, said = full_disk.command_line(*words(store, *more), most_bytes=most_bytes)
        assert (code, said.startswith("Error: File too large"), "Traceback" in said) == (1, True, False), said
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        assert CliRunner().invoke(cli.app, [str(word) for word in words(store, *more)]).exit_code == 0
