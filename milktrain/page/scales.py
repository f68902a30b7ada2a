"""Axes: which range is shown, where the ticks are, and how numbers are written. Pure functions of numbers; nothing here knows SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

MOST_TICKS = 5
#: On a logarithmic axis that spans less than this there would be one tick or none.
LEAST_LOG_SPAN = 10.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values lie on an axis.

    Args:
        low: value at position 0.
        high: value at position 1, above `low`.
        ticks: values that are marked.
        log: whether positions follow the logarithm.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """The position of a value; 0 for `low`, 1 for `high`, never outside by more than rounding.

        Example:
            >>> Scale(0, 4, ()).at(1), Scale(1, 100, (), log=True).at(10)
            (0.25, 0.5)
        """
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)


def fitted(values: Sequence[float], *, log: bool = False, from_zero: bool = False, whole: bool = False) -> Scale:
    """A scale that shows all values between round ends.

    Args:
        values: finite numbers, none or more.
        log: by powers of ten, where all values are positive and span enough of them; linear otherwise.
        from_zero: 0 is shown too, for lengths are compared.
        whole: ticks are at whole numbers, for there is nothing in between.

    Example:
        >>> fitted([0.013, 0.048], from_zero=True).ticks
        (0.0, 0.01, 0.02, 0.03, 0.04, 0.05)
        >>> fitted([0.002, 300], log=True).ticks
        (0.001, 0.1, 10.0, 1000.0)
    """
    shown = [*values, *([0.0] if from_zero or not values else [])]
    low, high = min(shown), max(shown)
    if log and low > 0 and high / low >= LEAST_LOG_SPAN:
        return _by_powers(low, high)
    if high == low:
        pad = abs(high) / 2 or 0.5
        low, high = (0.0 if from_zero else low - pad), high + pad
    step = max(_step((high - low) / MOST_TICKS), 1.0 if whole else 0.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(float(f"{step * n:.10g}") for n in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def _by_powers(low: float, high: float) -> Scale:
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    every = max(1, math.ceil((last - first) / MOST_TICKS))
    last = first + every * math.ceil((last - first) / every)
    return Scale(10.0**first, 10.0**last, tuple(10.0**power for power in range(first, last + 1, every)), log=True)


def _step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= least * (1 - 1e-9))


def tidy(value: float) -> str:
    """A number as the label of a tick.

    Example:
        >>> [tidy(value) for value in (0.0, 0.050, 1500.0, 20_000.0, 3e6, 1e-7)]
        ['0', '0.05', '1500', '20000', '3e6', '1e-7']
    """
    if value and not 1e-4 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.3g}".partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return f"{value:.6g}"


def thinned(points: Sequence[T], *, most: int, keep: Sequence[int] = ()) -> tuple[list[T], list[int]]:
    """Evenly spaced points of many, the first, the last and some others always among them.

    Args:
        points: in their order.
        most: how many evenly spaced ones are left, at least 2.
        keep: positions that stay whatever their place.

    Returns:
        The points, and where those of `keep` are among them.

    Example:
        >>> thinned(list("abcdefghi"), most=3, keep=[1])
        (['a', 'b', 'e', 'i'], [1])
    """
    last = len(points) - 1
    chosen = set(range(len(points))) if len(points) <= most else {round(n * last / (most - 1)) for n in range(most)} | set(keep)
    order = sorted(chosen)
    return [points[n] for n in order], [order.index(n) for n in keep]
