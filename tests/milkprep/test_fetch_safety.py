"""Addresses and redirects that are not followed: each ends as a row, and nobody inside is asked."""

import pytest
from fetching import catalogue, outcome, picture, run, states
from local_server import Page, serve
from small_catalogue import violations

from milkprep.media import answers, queue, transport


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(answers, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(transport, "SLICE_S", 0.05)
    monkeypatch.setattr(queue, "LOOK_S", 0.02)


def test_a_placeholder_is_absent_also_at_the_end_of_a_redirect(tmp_path):
    with serve({"/a": Page(status=302, headers={"Location": "/x/no-img-sm.gif"}), "/x/no-img-sm.gif": Page(picture())}) as server:
        path = catalogue(tmp_path, server.address("/a"), server.address("/x/no-img-sm._CB192198896_.gif"))
        run(path)
        assert server.asked == ["/a"]
    assert states(path) == [("absent", "only a 'no image' placeholder")] * 2


def test_redirects_are_followed_but_not_for_ever(tmp_path):
    moved = {f"/{n}": Page(status=301, headers={"Location": f"/{n + 1}"}) for n in range(6)}
    with serve({**moved, "/6": Page(picture())}) as server:
        path = catalogue(tmp_path, server.address("/1"), server.address("/0"))
        run(path)
    assert states(path) == [("ok", None), ("fetch_error", "it redirects more than 5 times")]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/hostname", "it redirects: neither an http nor an https address"),
        ("ftp://pictures.example/a", "it redirects: neither an http nor an https address"),
        ("http://user:secret@pictures.example/a", "it redirects: the address holds a user name or password"),
        ("http://[half/", "it redirects: the address makes no sense"),
    ],
)
def test_a_redirect_to_what_is_not_followed_is_refused(tmp_path, location, reason):
    assert outcome(tmp_path, Page(status=302, headers={"Location": location})) == ("fetch_error", reason)


STRANGE = {
    "ftp://pictures.example/a.jpg": "neither an http nor an https address",
    "file:///etc/hostname": "neither an http nor an https address",
    "javascript://x/a": "neither an http nor an https address",
    "no scheme at all": "neither an http nor an https address",
    "http://": "the address names no host",
    "http://user:secret@pictures.example/a.jpg": "the address holds a user name or password",
    "http://pictures.example:99999/a.jpg": "the address makes no sense",
    "http://[::1/a.jpg": "the address makes no sense",
    "http://pictures.example/\x01\n": "the address makes no sense",
    f"http://{'a' * 70}.example/": None,
    f"http://pictures.example/{'a' * 10_000}": "the address is longer than 8192 characters",
}


def test_strange_addresses_are_rows(tmp_path):
    path = catalogue(tmp_path, *STRANGE)
    run(path, deadline_s=5)
    found = states(path)
    assert {status for status, _ in found} == {"fetch_error"}
    assert [reason for (_, reason), expected in zip(found, STRANGE.values(), strict=True) if expected] == [r for r in STRANGE.values() if r]
    assert violations(path) == {}


def test_an_address_with_letters_of_other_scripts_is_asked_for_as_a_browser_would(tmp_path):
    with serve({"/bild%20%C3%BC/%E7%8C%AB.png?q=%C3%A9": Page(picture())}) as server:
        path = catalogue(tmp_path, server.address("/bild ü/猫.png?q=é"))
        run(path)
    assert states(path) == [("ok", None)]


PRIVATE = "the address leads into this machine or a private network"


def test_addresses_of_this_machine_are_refused_unless_allowed_in_any_spelling(tmp_path):
    with serve({"/a": Page(picture())}) as server:
        port = server.server_address[1]
        hosts = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
        path = catalogue(tmp_path, *(f"http://{host}:{port}/a" for host in hosts))
        run(path, allow_private=False)
        assert server.asked == []
    assert states(path) == [("fetch_error", PRIVATE)] * len(hosts)


def test_a_name_is_refused_for_any_private_address_behind_it_also_after_a_redirect(tmp_path, monkeypatch):
    """`public.example` stands for a server outside: it is let through, and redirects into this machine."""
    import socket

    from milkprep.media import addresses

    with serve({"/a": Page(status=302, headers={"Location": "http://inside.example/secret"}), "/secret": Page(picture())}) as server:
        port = server.server_address[1]
        numbers = {"public.example": ["127.0.0.1"], "inside.example": ["8.8.8.8", "10.0.0.1"]}

        def resolved(host, at, *_, **__):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, at)) for number in numbers.get(host, [host])]

        monkeypatch.setattr(addresses.socket, "getaddrinfo", resolved)
        really_public = addresses.is_public
        monkeypatch.setattr(addresses, "is_public", lambda number: number == "127.0.0.1" or really_public(number))
        path = catalogue(tmp_path, f"http://public.example:{port}/a")
        run(path, allow_private=False)
        assert server.asked == ["/a"]
        assert server.hosts == [f"public.example:{port}"]  # the name is asked, the number is connected to
    assert states(path) == [("fetch_error", PRIVATE)]
