"""Where time goes: seconds by stage of a run."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """Adds up wall-clock seconds by stage.

    Example:
        >>> stages = Stages("reading", "writing")
        >>> with stages.measure("reading"):
        ...     pass
        >>> stages.seconds["writing"], stages.seconds["reading"] >= 0
        (0.0, True)
    """

    def __init__(self, *names: str) -> None:
        """Start at zero.

        Args:
            names: stages that are shown even where they took no time.
        """
        self.seconds: dict[str, float] = defaultdict(float, dict.fromkeys(names, 0.0))
        self._lap_started = time.perf_counter()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time inside to a stage, also when it ends in an error."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - started

    def add(self, stage: str, seconds: float) -> None:
        """Count time that was measured elsewhere to a stage."""
        self.seconds[stage] += seconds

    def lap(self) -> float:
        """Wall-clock seconds since the last call, or since the start."""
        started, self._lap_started = self._lap_started, time.perf_counter()
        return self._lap_started - started
