"""Words that follow from numbers, so that messages are right for one thing as for many."""


def counted(n: int, one: str, *, many: str | None = None) -> str:
    """A number of things in words.

    Args:
        n: how many.
        one: what one of them is called.
        many: what several are called; with an s when not given.

    Example:
        >>> counted(1, "run"), counted(12_000, "run"), counted(0, "address", many="addresses")
        ('1 run', '12000 runs', '0 addresses')
    """
    return f"{n} {one if n == 1 else many or f'{one}s'}"
