"""Words that follow from numbers, so that messages are right for one thing as for many."""

#: Units whose singular is not the plural without its s.
IRREGULAR = {"addresses": "address", "modalities": "modality"}


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


def unit(n: int | None, many: str) -> str:
    """What is counted, of so many in all.

    Args:
        n: in all; None where it is not known.
        many: what several are called; empty where nothing is counted.

    Example:
        >>> unit(1, "runs"), unit(2, "runs"), unit(None, "addresses")
        ('run', 'runs', 'addresses')
    """
    return IRREGULAR.get(many, many.removesuffix("s")) if n == 1 else many
