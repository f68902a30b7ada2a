"""The protocols a model can be judged by, by name; `protocol` says what each ranks and masks."""

from enum import StrEnum


class Profile(StrEnum):
    """Which protocol."""

    MILK = "milk"
    TEST_ONLY = "test-only"
    ALL_ITEMS = "all-items"
