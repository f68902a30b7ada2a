"""The entries of a plan that are of the right kind. Others are told, each once, and left out, so that what is left can be looked at too.

Where something must be there and is not, a stand-in is, of which nothing is told. `Sound.lacks` says what a check must not conclude from.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from milktrain.experiments.plan import A_SETTING, KEY, METRIC, Plan

#: Keys that lead to an entry from the top; rows are counted from 0.
Place = tuple[str | int, ...]
#: Leaving entries out can leave a table without what it must have, and that its own table: no plan is deeper.
MOST_ROUNDS = 8
STAND_INS: dict[str, Any] = {"title": "none", "settings": ["ftmt"], "trials": 1}
FORMS = {
    KEY: "small letters, digits, '_', '-' and '.' can name a scenario, up to 61 of them, a letter or digit first",
    METRIC: "write it as recall@20",
}
KINDS = {
    "model_type": "write a table",
    "dict_type": "write a table",
    "list_type": "write a list",
    "string_type": "write a text",
    "int_type": "write a whole number",
    "bool_type": "write true or false",
    "too_short": "write at least one",
    "value_error": A_SETTING,
}
NO_ROWS = "row: write at least one table [[row]]"


@dataclass(frozen=True, slots=True)
class _Wrong:
    """What pydantic says of an entry."""

    kind: str
    keys: Place
    words: str
    given: object


@dataclass(frozen=True, slots=True)
class Sound:
    """What is left of a plan.

    Args:
        plan: with stand-ins; None where nothing could be made of it.
        wrong: what was left out and what is missing, in words.
        left_out: where that was.
        rows: for each row of the plan its place among those that were given; a stand-in for all of them has none.
        named: how messages call each of them.
    """

    plan: Plan | None
    wrong: list[str]
    left_out: frozenset[Place]
    rows: list[int]
    named: list[str]

    def lacks(self, *place: str | int) -> bool:
        """Whether an entry was left out, or anything in it."""
        return any(each[: len(place)] == place for each in self.left_out)


def sound(tables: Mapping[str, Any]) -> Sound:
    """What is left of the tables of a plan without entries of the wrong kind.

    Args:
        tables: as TOML has them.
    """
    left, wrong, out = deepcopy(dict(tables)), list[str](), set[Place]()
    if isinstance(left.get("row"), dict):
        wrong.append("row: write [[row]], in two brackets each")
        left["row"] = [left["row"]]
    raw = left.get("row")
    given = raw if isinstance(raw, list) else []
    named, rows = [_row_named(number, each) for number, each in enumerate(given)], [n for n, each in enumerate(given) if isinstance(each, dict)]
    plan = None
    for attempt in range(MOST_ROUNDS):
        try:
            plan = Plan.model_validate(left)
            break
        except ValidationError as error:
            found = {_place(left, each): each for each in reversed(_wrong(error))}
        if not attempt:  # what is wrong later follows from what is left out
            wrong += [_in_words(place, each, named) for place, each in reversed(found.items())]
            out = set(found)
        _leave_out(left, found)
    return Sound(plan, list(dict.fromkeys(wrong)), frozenset(out), rows, [named[number] for number in rows])


def _wrong(error: ValidationError) -> list[_Wrong]:
    found = []
    for each in error.errors(include_url=False):
        words = FORMS.get(each.get("ctx", {}).get("pattern", ""), KINDS.get(each["type"], each["msg"]))
        found.append(_Wrong(each["type"], each["loc"], words, each.get("input")))
    return found


def _place(tables: Mapping[str, Any], error: _Wrong) -> Place:
    """The entry that an error is about, or would be where it is missing; keys of pydantic's own in between are passed over."""
    here: object = tables
    place: Place = ()
    for key in error.keys:
        if (isinstance(here, dict) and key in here) or (isinstance(here, list) and isinstance(key, int) and key < len(here)):
            here, place = here[key], (*place, key)  # type: ignore[index] # it was just looked at
    return (*place, error.keys[-1]) if error.kind == "missing" else place


def _in_words(place: Place, error: _Wrong, named: list[str]) -> str:
    of_row = place[0] == "row" and len(place) > 1
    row = named[int(place[1])] if of_row else ""
    name = ".".join(map(str, place[2:] if of_row else place))
    if place == ("row",):
        return NO_ROWS
    if not name:
        return f"{row}: write it as a table, [[row]] and below it name and model"
    known = {"extra_forbidden": "a plan has no such entry", "missing": "it is missing"}
    words = known.get(error.kind, f"{error.words} (got {error.given!r})")
    return f"{row}: {name}: {words}" if of_row else f"{name}: {words}"


def _row_named(number: int, row: object) -> str:
    name = row.get("name") if isinstance(row, dict) else None
    return f"row {name!r}" if isinstance(name, str) else f"row {number + 1}"


def _leave_out(tables: dict[str, Any], found: Mapping[Place, _Wrong]) -> None:
    """Take entries out, the last of a list first, and put stand-ins where something must be."""
    for place in sorted(found, key=lambda each: (len(each), [key if isinstance(key, int) else -1 for key in each]), reverse=True):
        *above, name = place
        if above and above[0] not in tables:
            continue  # it went as a whole: neither end of `loss` was there
        table: Any = tables
        for key in above:
            table = table[key]
        if found[place].kind == "missing":
            _stand_in(tables, table, above, name)
        elif name == "search" and above:
            table[name] = False  # the plan's own search is another
        else:
            del table[name]


def _stand_in(tables: dict[str, Any], table: dict[str | int, Any], above: list[str | int], name: str | int) -> None:
    if name == "row":
        table[name] = [{"name": "none"}]
    elif name == "name":
        table[name] = f"row {int(above[1]) + 1}"
    elif name in ("before", "after"):
        other = table.get("after" if name == "before" else "before")
        if other is None:
            tables.pop("loss", None)
        else:
            table[name] = other
    else:
        table[name] = deepcopy(STAND_INS[str(name)])
