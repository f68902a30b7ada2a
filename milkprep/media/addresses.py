"""Which addresses are followed: http and https, without credentials, to the public internet.

A name is checked by what it resolves to, when a connection is made, and the connection goes to the address that was
checked: a name that answers differently a moment later changes nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2 import URL

#: Longer addresses are refused, in characters.
MAX_LENGTH = 8192
PLACEHOLDER = "no-img-sm"
INSIDE = "the address leads into this machine or a private network"
#: IPv6 addresses that carry an IPv4 address in their last four bytes for a translator (RFC 6052).
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """An address that is not followed; the reason names no address, so that equal reasons can be counted together."""


def parse(address: str) -> "URL":
    """An address as one that may be followed.

    Args:
        address: any text.

    Raises:
        Refused: if it is no http or https address with a host, holds credentials, or is too long.
    """
    import httpx2

    if len(address) > MAX_LENGTH:
        raise Refused(f"the address is longer than {MAX_LENGTH} characters")
    try:
        return approved(httpx2.URL(address))
    except (httpx2.InvalidURL, ValueError) as error:  # ValueError: names that IDNA cannot encode, surrogates
        raise Refused("the address makes no sense") from error


def approved(url: "URL") -> "URL":
    """The same address, if it may be followed; also for the target of a redirect.

    Raises:
        Refused: as `parse` does.
    """
    if url.scheme not in ("http", "https"):
        raise Refused("neither an http nor an https address")
    if not url.host:
        raise Refused("the address names no host")
    if "%" in url.host or not 0 < (url.port or 80) < 65536:
        raise Refused("the address makes no sense")
    if url.userinfo:
        raise Refused("the address holds a user name or password")
    return url


def resolve(host: str, port: int, *, allow_private: bool) -> Sequence[str]:
    """What a host's name leads to.

    Args:
        host: name or number, in any spelling the resolver takes.
        port: to connect to.
        allow_private: whether addresses outside the public internet will do.

    Returns:
        IP addresses in the resolver's order, each once.

    Raises:
        Refused: if any of them lies outside the public internet.
        OSError: if the name leads nowhere.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise Refused("the address makes no sense") from error
    numbers = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(is_public(number) for number in numbers):
        raise Refused(INSIDE)
    return numbers


def is_public(number: str) -> bool:
    """Whether an IP address lies in the public internet.

    Loopback, link-local, private, shared, reserved and multicast ranges do not, nor do IPv6 addresses that stand for such an
    IPv4 address (mapped, 6to4, translated).
    """
    address = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if carried is None and address in TRANSLATED:
            carried = ipaddress.IPv4Address(address.packed[-4:])
        if carried is not None:
            return is_public(str(carried))
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
