"""Which items of the catalogue are looked at."""

from enum import StrEnum


class Among(StrEnum):
    """Those that training did not see, or all."""

    NEW = "new"
    ALL = "all"
