"""Addresses that wait, by host.

A host is asked by a few threads at a time, rests when it asks for rest, and is given up when it cannot be reached, is silent or stays busy.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from milkprep.media.transport import Timer

#: A host from which so many addresses in a row got no answer, or one that it is busy, is not asked again in this run.
GIVE_UP_AFTER = 20
#: After so many answers a host that was busy may be asked by one thread more, up to the limit.
RECOVERS_AFTER = 50
#: Seconds a thread waits before it looks again.
LOOK_S = 0.25


class _Host:
    """What is known of one host."""

    def __init__(self, name: str, limit: int) -> None:
        self.waiting: deque[str] = deque()
        self.name = name
        self.limit, self.active, self.answers = limit, 0, 0
        self.rests_until = 0.0
        self.fruitless = 0


class Turn:
    """A thread's right to ask a host, while it has it."""

    def __init__(self, queue: "Queue", address: str, host: str) -> None:
        self.address, self.host, self.held = address, host, True
        self._queue = queue

    def move(self, host: str) -> None:
        """Ask another host, or the same again, once it may be asked.

        Raises:
            Stopped: if the run was stopped.
        """
        if host != self.host or not self.held:
            self.leave()
            self.host = host
            self._queue.enter(host)
            self.held = True

    def leave(self) -> None:
        """Let others ask the host."""
        if self.held:
            self.held = False
            self._queue.leave(self.host)


class Queue:
    """Addresses for threads to take.

    Args:
        per_host: threads that ask one host at a time, at most.
        timer: stops the waits when the run is stopped.
    """

    def __init__(self, *, per_host: int, timer: Timer) -> None:
        self._per_host, self._timer = per_host, timer
        self._hosts: dict[str, _Host] = {}
        self._with_waiting: deque[_Host] = deque()
        self._changed = threading.Condition()
        self._n_waiting, self._closed = 0, False

    def add(self, addresses: Iterable[str]) -> None:
        """Let more addresses wait."""
        with self._changed:
            for address in addresses:
                host = self._host(host_of(address))
                if not host.waiting:
                    self._with_waiting.append(host)
                host.waiting.append(address)
                self._n_waiting += 1
            self._changed.notify_all()

    def close(self) -> None:
        """No more will be added."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def n_waiting(self) -> int:
        """Addresses that nobody has taken yet."""
        return self._n_waiting

    def turns(self) -> Iterator[Turn]:
        """Addresses to ask for, each as soon as its host may be asked, until none are left.

        Raises:
            Stopped: if the run was stopped.
        """
        while (turn := self._take()) is not None:
            try:
                yield turn
            finally:
                turn.leave()

    def _take(self) -> Turn | None:
        with self._changed:
            while True:
                self._timer.left()
                now = time.monotonic()
                for _ in range(len(self._with_waiting)):
                    host = self._with_waiting.popleft()
                    if not self._may_ask(host, now):
                        self._with_waiting.append(host)
                        continue
                    address = host.waiting.popleft()
                    if host.waiting:
                        self._with_waiting.append(host)
                    host.active += 1
                    self._n_waiting -= 1
                    return Turn(self, address, host.name)
                if self._closed and not self._n_waiting:
                    return None
                self._changed.wait(LOOK_S)

    def enter(self, name: str) -> None:
        """Wait until a host may be asked by one more thread; use by way of a turn."""
        with self._changed:
            host = self._host(name)
            while not self._may_ask(host, time.monotonic()):
                if self._timer.left() <= 0:
                    break  # the next wait for the network ends at once
                self._changed.wait(LOOK_S)
            host.active += 1

    def leave(self, name: str) -> None:
        """One thread fewer asks a host; use by way of a turn."""
        with self._changed:
            self._hosts[name].active -= 1
            self._changed.notify()

    def answered(self, name: str) -> None:
        """Note that a host answered, be it with a refusal."""
        host = self._hosts[name]
        host.fruitless = 0
        if host.limit < self._per_host:
            with self._changed:
                host.answers += 1
                if host.answers >= RECOVERS_AFTER:
                    host.limit, host.answers = host.limit + 1, 0

    def rest(self, name: str, seconds: float) -> None:
        """Leave a host alone for a while, and ask it by fewer threads afterwards."""
        with self._changed:
            host = self._hosts[name]
            host.rests_until = max(host.rests_until, time.monotonic() + seconds)
            host.limit, host.answers = max(1, host.limit // 2), 0

    def fruitless(self, name: str) -> None:
        """Note that an address of a host was given up: it could not be reached, was silent or stayed busy."""
        with self._changed:
            self._hosts[name].fruitless += 1

    def is_given_up(self, name: str) -> bool:
        """Whether asking a host has become pointless."""
        return self._hosts[name].fruitless >= GIVE_UP_AFTER

    def _host(self, name: str) -> _Host:
        if name not in self._hosts:
            self._hosts[name] = _Host(name, self._per_host)
        return self._hosts[name]

    @staticmethod
    def _may_ask(host: _Host, now: float) -> bool:
        return host.active < host.limit and host.rests_until <= now


def host_of(address: str) -> str:
    """The host an address names; empty where it makes no sense, which asking will tell."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
