"""SQL kept as documents: a `.sql` file holds named statements, each under a line `-- name: some_name`.

Values are always bound (`$value`), never pasted. Text before the first name is the file's own comment.
"""

import importlib.resources
import re
from functools import cache

NAME_LINE = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


@cache
def load(package: str, file: str) -> dict[str, str]:
    """Named statements of one `.sql` file beside a package's modules.

    Args:
        package: dotted package that holds the file, e.g. `milkprep.sql`.
        file: file name, e.g. `amazon.sql`.

    Returns:
        Statement text by name, in the file's order.

    Example:
        >>> "table_names" in load("schemas.sql", "store.sql")
        True
    """
    text = importlib.resources.files(package).joinpath(file).read_text(encoding="utf-8")
    pieces = NAME_LINE.split(text)
    found = dict(zip(pieces[1::2], (body.strip() for body in pieces[2::2]), strict=True))
    assert len(found) == len(pieces) // 2, f"{package}/{file} names a statement twice"
    return found


def documents(package: str) -> list[tuple[str, str]]:
    """Name and text of each `.sql` file of a package, in the order of file names."""
    files = sorted(importlib.resources.files(package).iterdir(), key=lambda f: f.name)
    return [(f.name.removesuffix(".sql"), f.read_text(encoding="utf-8")) for f in files if f.name.endswith(".sql")]
