"""What fetch-media tells its user: which flag helps, whether anything was fetched at all, and how it ends."""

import json
import socket

import pytest
from fetching import catalogue, picture
from local_server import Page, serve
from typer.testing import CliRunner

import cli
from milkprep.media import answers, queue


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(answers, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(queue, "LOOK_S", 0.02)


def told(path, *flags, expect):
    """What a run says, each word after one space, and what it writes."""
    result = CliRunner().invoke(cli.app, ["fetch-media", "--modality", "visual", "--store", str(path), *flags])
    assert result.exit_code == expect, result.stderr
    return " ".join(result.stderr.split()), result.stdout


def test_what_was_refused_as_private_comes_with_both_flags_and_they_help(tmp_path):
    with serve({"/a": Page(picture())}) as server:
        path = catalogue(tmp_path, server.address("/a"))
        said, _ = told(path, expect=1)
        assert "1 address refused for leading into this machine or a private network" in said
        assert "--allow-private --retry-failed" in said
        assert "Only --retry-failed" not in said
        assert "none holds content" in said
        assert ".media" not in said
        assert not list(tmp_path.glob("*.media"))
        again, _ = told(path, "--allow-private", expect=0)  # nobody is asked; the advice stays
        assert "Nothing to fetch" in again
        assert "--allow-private --retry-failed" in again
        assert server.asked == []
        fetched, _ = told(path, "--allow-private", "--retry-failed", expect=0)
    assert f"1 hold content, which lies in {tmp_path / 's.duckdb.media'}" in fetched
    assert "--retry-failed" not in fetched


def test_a_run_that_reached_nobody_says_so_and_ends_with_1(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens
        path = catalogue(tmp_path, *(f"http://127.0.0.1:{unused.getsockname()[1]}/{n}" for n in range(3)))
        said, _ = told(path, "--allow-private", expect=1)
        assert "Nothing was fetched: none of the 3 addresses could be reached" in said
        assert "3 addresses failed, now or before. Only --retry-failed tries such again" in said
        _, written = told(path, "--allow-private", "--retry-failed", "--json", expect=1)
    found = json.loads(written)
    assert (found["visited"], found["failed"], found["ok"], found["cache"]) == (3, 3, 0, None)


def test_a_run_in_which_all_failed_in_other_ways_ends_with_1_and_one_with_an_answer_does_not(tmp_path):
    with serve({"/a": Page(status=403), "/b": Page(b"no picture")}) as server:
        (tmp_path / "one").mkdir()
        said, _ = told(catalogue(tmp_path / "one", server.address("/a"), server.address("/b")), "--allow-private", expect=1)
        assert "Nothing was fetched: all 2 addresses failed." in said
        (tmp_path / "two").mkdir()
        said, _ = told(catalogue(tmp_path / "two", server.address("/a"), server.address("/gone")), "--allow-private", expect=0)
    assert "Nothing was fetched" not in said
