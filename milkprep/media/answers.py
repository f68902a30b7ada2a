"""One question to a server: redirects followed within bounds, and every failure sorted into worth another try or not."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx2

from milkprep.media import addresses
from milkprep.media.addresses import Refused
from schemas import __version__

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying

MAX_REDIRECTS = 5
#: Lengths and places that a file can have: `int` takes more digits and other ones.
LENGTH = re.compile(r"[0-9]{1,18}")
MOVED = (301, 302, 303, 307, 308)
#: Of these the server says itself that another try is worth it.
BUSY = (408, 425, 429)
#: Seconds to the first repetition; each after it waits twice as long, up to the second.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
#: A server that wants a longer pause than this is not waited for, in seconds.
LONGEST_RETRY_AFTER_S = 300.0
UNREACHABLE = "the server cannot be reached"
GIVEN_UP = "not asked: too many addresses of its server in a row brought nothing"
#: Seconds without a byte.
TIMEOUT = {"connect": 10.0, "read": 20.0, "write": 20.0, "pool": 10.0}
HEADERS = {"User-Agent": f"milkprep/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


class Failed(Exception):
    """An address that gives no content; the reason in words. `status` is that of HTTP, None where there was no answer."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


class Transient(Failed):
    """A failure that may pass. `wait_s`: how long the server asks to wait. `unreachable`: there was no connection at all."""

    def __init__(self, reason: str, *, status: int | None = None, wait_s: float | None = None, unreachable: bool = False) -> None:
        super().__init__(reason, status=status)
        self.wait_s, self.unreachable = wait_s, unreachable


@contextmanager
def ask(
    transport: httpx2.BaseTransport, address: str, *, headers: Mapping[str, str] | None = None, hop: Callable[[httpx2.URL], None] | None = None
) -> Iterator[httpx2.Response]:
    """The answer to a GET, redirects followed.

    Args:
        transport: what carries the question.
        address: where to.
        headers: beside those of every question.
        hop: told each address before it is asked, the first included; may refuse.

    Yields:
        The answer, of status 200 to 299 or 416; its `stream` gives the body as it was sent.

    Raises:
        Refused: if the address, or one it redirects to, is not followed.
        Transient: on failures that may pass, also while the body is read.
        Failed: on those that will not.
    """
    url = addresses.parse(address)
    try:
        for _ in range(MAX_REDIRECTS + 1):
            if hop is not None:
                hop(url)
            request = httpx2.Request("GET", url, headers={**HEADERS, **(headers or {})}, extensions={"timeout": TIMEOUT})
            answer = transport.handle_request(request)
            try:
                if answer.status_code not in MOVED:
                    _refuse_errors(answer)
                    yield answer
                    return
                url = _next(url, answer)
            finally:
                answer.close()
    except httpx2.InvalidURL as error:
        raise Failed("it redirects to an address that makes no sense") from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise Transient(UNREACHABLE, unreachable=True) from error
    except httpx2.TimeoutException as error:
        raise Transient("the server stopped answering") from error
    except httpx2.TransportError as error:
        raise Transient("the connection broke off, or the server speaks no HTTP") from error
    raise Failed(f"it redirects more than {MAX_REDIRECTS} times")


def _next(url: httpx2.URL, answer: httpx2.Response) -> httpx2.URL:
    target = answer.headers.get("location")
    if not target:
        raise Failed(f"the server redirects to nowhere (HTTP {answer.status_code})", status=answer.status_code)
    try:
        return addresses.approved(url.join(target[: addresses.MAX_LENGTH]))
    except Refused as refused:
        raise Refused(f"it redirects: {refused}") from refused
    except ValueError as error:
        raise Failed("it redirects to an address that makes no sense") from error


def _refuse_errors(answer: httpx2.Response) -> None:
    status = answer.status_code
    if 200 <= status < 300 or status == 416:
        return
    if status in BUSY or status >= 500:
        raise Transient(f"the server is busy or broken (HTTP {status})", status=status, wait_s=retry_after(answer.headers.get("retry-after")))
    raise Failed(f"the server refuses it (HTTP {status})", status=status)


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait: a number, or a date (RFC 9110, 10.2.3).

    Returns:
        At least 0, or None where the header is not there or makes no sense.

    Example:
        >>> retry_after("120")
        120.0
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:12])
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def validator(answer: httpx2.Response) -> str:
    """What tells this file from another at its address; empty where the server gives nothing that does (RFC 9110, 13.1.5)."""
    tag = str(answer.headers.get("etag", ""))
    return str(answer.headers.get("last-modified", "")) if not tag or tag.startswith("W/") else tag


def content_range(header: str) -> tuple[int | None, int | None]:
    """First byte and length of the whole in `bytes 5-9/20`, `bytes 5-9/*` or `bytes */20`."""
    unit, _, rest = header.strip().partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    return (place_in_file(first), place_in_file(total)) if unit == "bytes" else (None, None)


def place_in_file(text: str) -> int | None:
    """A length or place in a file, None where it is none that a file can have."""
    return int(text) if LENGTH.fullmatch(text) else None


def retrying(*, left: Callable[[], float], sleep: Callable[[float], None], fruitless: Callable[[int], bool]) -> "Retrying":
    """Repetition of what is transient: exponential back-off, or as long as the server asks for.

    Args:
        left: seconds until the deadline; no wait goes beyond it.
        sleep: waits.
        fruitless: given the number of tries, whether they are enough.
    """
    from tenacity import Retrying, retry_if_exception_type

    def pause(state: "RetryCallState") -> float:
        error = state.outcome.exception() if state.outcome else None
        own = min(FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1), LONGEST_WAIT_S)
        return max(own, error.wait_s) if isinstance(error, Transient) and error.wait_s is not None else own

    def enough(state: "RetryCallState") -> bool:
        return fruitless(state.attempt_number) or state.upcoming_sleep > min(left(), LONGEST_RETRY_AFTER_S)

    return Retrying(wait=pause, stop=enough, sleep=sleep, retry=retry_if_exception_type(Transient), reraise=True)
