"""Times as people write them: seconds, milliseconds, microseconds or nanoseconds since 1970, or ISO 8601 dates.

The unit of a number is told by its size: what would be the year 5138 and later in one unit is taken for the next finer one,
in which it is 1973 or later. Every value is looked at by itself, so the unit depends on nothing else in the file.
"""

import polars as pl

#: Unit, how many of them a second has, and the size below which a number is of it.
UNITS = (("seconds", 1, 1e11), ("milliseconds", 10**3, 1e14), ("microseconds", 10**6, 1e17), ("nanoseconds", 10**9, 1e20))
#: Eight digits that can be a day of this or the last century: nobody means a second of 1970.
COMPACT = r"^((?:19|20)[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$"
DATES = "dates"
#: What the store can hold: the years 1 to 9999.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
ISO = r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(?:[.,]\d+)?\s?(Z|[+-]\d{2}:?\d{2})?)?$"


def parsed(values: pl.Series) -> pl.DataFrame:
    """Texts to whole seconds since 1970, UTC.

    Args:
        values: texts; one that is empty is no time.

    Returns:
        `seconds` (Int64), NULL where there is no time or it cannot be understood; `unit`, NULL there too. A date without an
        offset is in UTC.

    Example:
        >>> parsed(pl.Series(["1589012345678", "2020-05-09T08:19:05Z"])).rows()
        [(1589012345, 'milliseconds'), (1589012345, 'dates')]
    """
    texts = values.str.strip_chars()
    frame = pl.DataFrame([texts.alias("text"), texts.cast(pl.Float64, strict=False).alias("number")])
    per_second, unit = pl.lit(None, dtype=pl.Float64), pl.lit(None, dtype=pl.String)
    for name, n, limit in reversed(UNITS):
        fits = pl.col("number").abs() < limit
        per_second, unit = pl.when(fits).then(pl.lit(float(n))).otherwise(per_second), pl.when(fits).then(pl.lit(name)).otherwise(unit)
    frame = frame.with_columns(number=pl.when(~pl.col("text").str.contains(COMPACT)).then(pl.col("number")))  # 20240131 is a date
    found = frame.select("text", (pl.col("number") / per_second).floor().cast(pl.Int64, strict=False).alias("seconds"), unit.alias("unit"))
    if found.select((pl.col("seconds").is_null() & (pl.col("text") != "")).any()).item():
        found = found.with_columns(_iso_seconds(pl.col("text")).alias("iso")).select(
            pl.coalesce("seconds", "iso").alias("seconds"),
            pl.coalesce("unit", pl.when(pl.col("iso").is_not_null()).then(pl.lit(DATES))).alias("unit"),
        )
    in_range = pl.col("seconds").is_between(FIRST_SECOND, LAST_SECOND)
    return found.select(pl.when(in_range).then(name).alias(name) for name in ("seconds", "unit"))


def _iso_seconds(text: pl.Expr) -> pl.Expr:
    text = text.str.replace(COMPACT, "${1}-${2}-${3}")
    part = text.str.extract_groups(ISO).struct.field
    clock = pl.concat_str(part("1"), pl.lit(" "), part("2").fill_null("00:00"), part("3").fill_null(":00"))
    offset = part("4").fill_null("Z").str.replace_all(":", "").replace("Z", "+0000")
    minutes = offset.str.slice(1, 2).cast(pl.Int64, strict=False) * 60 + offset.str.slice(3, 2).cast(pl.Int64, strict=False)
    behind = pl.when(offset.str.starts_with("-")).then(-minutes).otherwise(minutes) * 60
    return clock.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False).dt.epoch("s") - behind
