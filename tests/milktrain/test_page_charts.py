"""Scales and charts: ends and ticks, shapes worked by hand, and numbers that are what is drawn."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milktrain.page import charts, scales
from milktrain.page.blocks import table
from milktrain.page.charts import Axes, Bar, Series

NUMBERS = st.lists(st.floats(-1e9, 1e9, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-9), min_size=1, max_size=20)


@given(values=NUMBERS, from_zero=st.booleans(), log=st.booleans(), whole=st.booleans())
def test_a_scale_shows_every_value_between_its_ends_and_has_few_ticks(values, from_zero, log, whole):
    scale = scales.fitted(values, from_zero=from_zero, log=log, whole=whole)
    slack = 1e-6 * max(map(abs, (scale.low, scale.high)))
    assert scale.low - slack <= min(values) <= max(values) <= scale.high + slack
    assert scale.low <= 0 <= scale.high or not from_zero or scale.log
    assert 2 <= len(scale.ticks) <= scales.MOST_TICKS + 3
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert (scale.ticks[0], scale.ticks[-1]) == (scale.low, scale.high)
    places = [scale.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] <= 1


def test_a_logarithmic_scale_puts_equal_ratios_at_equal_distances():
    scale = scales.fitted([1e-4, 1e2], log=True)
    assert scale.log
    assert [round(scale.at(10.0**power), 6) for power in (-4, -1, 2)] == [0, 0.5, 1]


@pytest.mark.parametrize("values", [[0.0, 10.0, 1000.0], [-1.0, 100.0], [5.0, 20.0]])
def test_values_that_have_no_logarithm_or_span_too_little_are_on_a_linear_scale(values):
    assert not scales.fitted(values, log=True).log


def test_whole_numbers_have_no_ticks_between_them():
    assert scales.fitted([0, 1, 2], whole=True).ticks == (0, 1, 2)
    assert scales.fitted([0, 1, 2]).ticks == (0, 0.5, 1, 1.5, 2)


@given(n=st.integers(2, 500), most=st.integers(2, 60), data=st.data())
def test_thinning_keeps_ends_and_what_must_stay_and_little_more(n, most, data):
    keep = data.draw(st.lists(st.integers(0, n - 1), max_size=3))
    points, where = scales.thinned(range(n), most=most, keep=keep)
    assert (points[0], points[-1]) == (0, n - 1)
    assert points == sorted(set(points))
    assert [points[at] for at in where] == keep
    assert len(points) <= most + len(keep)


def drawn(figure, css):
    """Attributes of the shapes of a class."""
    return [shape.attributes for shape in figure.shapes if css in shape.attributes.get("class", "").split()]


def test_a_line_goes_from_corner_to_corner_of_the_plot():
    figure = charts.lines([Series("a", [(0, 0), (5, 0.5), (10, 1)], 0)], title="t", description="d", axes=Axes("x", "y"))
    # 320 wide less margins 44 and 10: 44 to 310; 190 high less 8 and 20: 8 to 170.
    assert [line["d"] for line in drawn(figure, "line")] == ["M44 170L177 89L310 8"]
    assert len(drawn(figure, "mark")) == 3


def test_a_step_holds_its_value_until_the_next_point():
    figure = charts.lines([Series("a", [(0, 1), (10, 0)], 0)], title="t", description="d", axes=Axes("x", "y"), step=True)
    assert [line["d"] for line in drawn(figure, "line")] == ["M44 8H310V170"]


def test_a_point_to_look_at_is_ringed_and_marked_in_the_numbers():
    figure = charts.lines([Series("a", [(0, 0.0), (10, 1.0)], 0, ringed=[1])], title="t", description="d", axes=Axes("x", "y"))
    assert [(ring["cx"], ring["cy"]) for ring in drawn(figure, "ring")] == [("310", "8")]
    assert [[(cell.text, cell.mark) for cell in row] for row in figure.numbers.rows] == [
        [("0", ""), ("0.0000", "")],
        [("10", ""), ("1.0000", "best")],
    ]


def test_whiskers_reach_one_deviation_up_and_down():
    figure = charts.lines(
        [Series("a", [(0, 1.0), (1, 3.0)], 0, deviations=[None, 1.0])], title="t", description="d", axes=Axes("x", "y", from_zero=True)
    )
    # The axis goes from 0 to 4 over 162 units: 3 - 1 = 2 lies half way, 3 + 1 = 4 at the top.
    assert [line["d"] for line in drawn(figure, "thin")] == ["M310 89V8"]
    assert figure.numbers.rows[1][1].note == "± 1.0000"


def test_the_numbers_of_a_chart_are_its_points_with_gaps_where_a_series_has_none():
    series = [Series("a", [(1, 0.25), (2, 0.5)], 0), Series("b", [(2, 0.75)], 1)]
    figure = charts.lines(series, title="t", description="d", axes=Axes("epoch", "y"))
    assert figure.numbers.columns == ("epoch", "a", "b")
    assert [[cell.text for cell in row] for row in figure.numbers.rows] == [["1", "0.2500", "–"], ["2", "0.5000", "0.7500"]]  # noqa: RUF001 - the dash of tables


def test_a_chart_of_nothing_has_axes_and_no_line():
    figure = charts.lines([Series("a", [], 0)], title="t", description="d", axes=Axes("x", "y"))
    assert drawn(figure, "line") == []
    assert drawn(figure, "grid")


def test_bars_are_as_long_as_their_values():
    rows = [Bar("a", [(0.04, 0)], "0.0400"), Bar("b", [(0.01, 1), (0.03, 2)], "0.0400", deviation=0.01)]
    figure = charts.bars(rows, title="t", description="d", x="recall", numbers=table("n", ["a"], []))
    # The axis goes to 0.05 over 205 units from 4.
    assert [(bar["x"], bar["width"]) for bar in drawn(figure, "fill")] == [("4", "164"), ("4", "41"), ("45", "123")]
    assert drawn(figure, "whisker")[0]["d"].startswith("M127 ")  # at 0.03
    assert "H209" in drawn(figure, "whisker")[0]["d"]  # to 0.05


def test_bars_beyond_the_most_are_left_to_the_table_and_long_names_keep_both_ends():
    rows = [Bar(f"start {'x' * 60} end {n}", [(1, n)], "1") for n in range(charts.MOST_BARS + 5)]
    figure = charts.bars(rows, title="t", description="d", x="x", numbers=table("n", ["a"], []))
    assert len(drawn(figure, "fill")) == charts.MOST_BARS
    name = next(shape.text for shape in figure.shapes if shape.text.startswith("start"))
    assert name.endswith("end 0")
    assert len(name) == charts.LONGEST_NAME


def test_series_differ_by_more_than_colour():
    outlines = [charts.mark(colour, 0, 0) for colour in range(4)]
    assert len(set(outlines)) == 4
    series = [Series(str(n), [(0, n), (1, n)], n) for n in range(20)]
    figure = charts.lines(series, title="t", description="d", axes=Axes("x", "y"))
    kinds = [line["class"] for line in drawn(figure, "line")]
    assert kinds[0] == "line c0"
    assert len({(kind, charts.mark(n, 0, 0)) for n, kind in enumerate(kinds)}) == 20


@given(x=st.floats(0, 1e6), y=st.floats(-1e6, 1e6))
def test_positions_are_numbers_that_a_browser_reads(x, y):
    figure = charts.lines([Series("a", [(x, y), (x + 1, y)], 3)], title="t", description="d", axes=Axes("x", "y"))
    for shape in figure.shapes:
        for name in ("x", "y", "cx", "cy"):
            assert math.isfinite(float(shape.attributes.get(name, "0")))
        assert "nan" not in shape.attributes.get("d", "") + shape.text
