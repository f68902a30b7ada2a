"""Times of every unit that people write."""

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milkprep.pull import timestamps

#: 2020-05-09 08:19:05 UTC.
SECOND = 1_589_012_345


def parsed(text):
    return timestamps.parsed(pl.Series([text], dtype=pl.String)).row(0)


@pytest.mark.parametrize(
    ("text", "seconds", "unit"),
    [
        ("1589012345", SECOND, "seconds"),
        (" 1589012345.9 ", SECOND, "seconds"),
        ("1589012345678", SECOND, "milliseconds"),
        ("1.589012345678e12", SECOND, "milliseconds"),
        ("1589012345678901", SECOND, "microseconds"),
        ("1589012345678901234", SECOND, "nanoseconds"),
        ("0", 0, "seconds"),
        ("-1", -1, "seconds"),
        ("99999999999", 99_999_999_999, "seconds"),  # the last number taken for seconds, in the year 5138
        ("100000000000", 100_000_000, "milliseconds"),  # the first taken for milliseconds, in 1973
        ("2020-05-09", SECOND - 29_945, "dates"),
        ("2020-05-09 08:19", SECOND - 5, "dates"),
        ("2020-05-09T08:19:05", SECOND, "dates"),
        ("2020-05-09T08:19:05.999Z", SECOND, "dates"),
        ("2020-05-09 10:19:05+02:00", SECOND, "dates"),
        ("2020-05-09T04:49:05 -0330", SECOND, "dates"),
        ("", None, None),
        ("  ", None, None),
    ],
)
def test_a_time_is_read_in_the_unit_that_its_size_tells(text, seconds, unit):
    assert parsed(text) == (seconds, unit)


@pytest.mark.parametrize(
    "text", ["soon", "nan", "inf", "1e40", "2020-13-01", "2020-02-30", "09.05.2020", "20-05-09", "2020-05-09T25:00", "-99999999999"]
)
def test_what_is_no_time_is_none(text):
    assert parsed(text) == (None, None)


@given(st.datetimes(min_value=datetime(1974, 1, 1), max_value=datetime(2500, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_a_moment_is_the_same_in_every_unit_and_with_every_offset(moment, minutes):
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    seconds = int(whole.timestamp())
    elsewhere = whole.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    # Nanoseconds have more digits than a float; half a second is added so that rounding cannot reach another one.
    texts = [str(seconds), str(seconds * 1000), str(seconds * 10**6), str(seconds * 10**9 + 500_000_000), elsewhere]
    found = timestamps.parsed(pl.Series(texts))
    assert found["seconds"].to_list() == [seconds] * 5
    assert found["unit"].to_list() == ["seconds", "milliseconds", "microseconds", "nanoseconds", "dates"]


def test_eight_digits_that_are_a_day_are_that_day_and_no_second_of_1970():
    assert timestamps.parsed(pl.Series(["20240131", "19991231", "20241301", "86400"])).rows() == [
        (1_706_659_200, "dates"), (946_598_400, "dates"), (20_241_301, "seconds"), (86_400, "seconds")
    ]  # fmt: skip
