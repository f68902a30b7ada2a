"""A folder of modules as its own registry.

A plugin is one module in a package; its public name is the file name with `-` for `_`. Listing looks at file names only and
imports nothing; loading imports just the one asked for. Modules whose name starts with `_` are not plugins.
"""

import importlib
import importlib.resources
from difflib import get_close_matches
from types import ModuleType

from schemas.errors import UnknownName

#: Names that a message lists; of more it lists the nearest.
LISTED, NEAREST = 32, 8


def names(package: str) -> list[str]:
    """Public names of all plugins in a package, sorted.

    Example:
        >>> "amazon" in names("milkprep.sources")
        True
    """
    files = importlib.resources.files(package).iterdir()
    stems = [f.name.removesuffix(".py") for f in files if f.name.endswith(".py") and not f.name.startswith("_")]
    return sorted(stem.replace("_", "-") for stem in stems)


def load(package: str, name: str) -> ModuleType:
    """The module behind a public name.

    Raises:
        UnknownName: if there is none; the message lists what is known and the nearest spelling.
    """
    check_known(name, names(package), what=package.rpartition(".")[2].rstrip("s"))
    return importlib.import_module(f"{package}.{name.replace('-', '_')}")


def check_known(name: str, known: list[str], *, what: str) -> None:
    """Refuse a name that is not among the known ones.

    Raises:
        UnknownName: naming the nearest spelling and all known names, or of very many the nearest.
    """
    if name in known:
        return
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = known if len(known) <= LISTED else get_close_matches(name, known, n=NEAREST, cutoff=0)
    others = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    raise UnknownName(f"There is no {what} named {name!r}.{hint} Known: {', '.join(shown)}{others}.")
