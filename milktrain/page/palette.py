"""Which configuration has which colour: the same on every chart of the page."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from milktrain.page.reading import Found, by_label, measured, metrics_of, spread

#: Configurations that a chart with a line each can show; the tables have all.
MOST_DRAWN = 8

T = TypeVar("T")


class Colours:
    """Numbers of colours by configuration, the best first."""

    def __init__(self, found: Sequence[Found]) -> None:
        """Rank configurations by the first preferred metric they have on test, over all contexts; those of equal rank by label."""
        ranked = []
        for label, runs in by_label(found).items():
            part = "test" if any("test" in run.metrics for run in runs) else "val"
            metric = next(iter(metrics_of(runs, part)), None)
            values = measured(runs, part, metric) if metric else []
            ranked.append((-spread(values)[0] if values else 0.0, label))
        self._number = {label: n for n, (_, label) in enumerate(sorted(ranked))}

    def of(self, label: str) -> int:
        """The number of a configuration's colour."""
        return self._number[label]

    def ordered(self, labelled: Mapping[str, T]) -> dict[str, T]:
        """By label, the best first."""
        return {label: labelled[label] for label in sorted(labelled, key=self.of)}

    def drawn(self, labelled: Mapping[str, T]) -> dict[str, T]:
        """The best of them, as many as can be told apart on one chart."""
        return dict(list(self.ordered(labelled).items())[:MOST_DRAWN])
