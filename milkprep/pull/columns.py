"""Which column of somebody's table means what: said by the user, else guessed from its name, and always shown.

Names are compared without case, spaces and punctuation: `Item ID`, `item_id` and `itemId` are one.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemas.errors import BadValue, SourceError

#: Roles of the columns of interactions and of items, and the names they go by, the more telling first.
USER = ("user", "userid", "userkey", "customer", "customerid", "reviewerid", "uid", "visitorid", "memberid", "accountid", "clientid")
ITEM = ("item", "itemid", "itemkey", "sku", "parentasin", "asin", "product", "productid", "iid", "articleid", "movieid", "videoid", "trackid")
INTERACTION_ROLES: Mapping[str, Sequence[str]] = {
    "user": USER,
    "item": ITEM,
    "rating": ("rating", "ratings", "stars", "score", "overall"),
    "timestamp": ("timestamp", "time", "datetime", "date", "ts", "unixtime", "unixreviewtime", "eventtime", "createdat"),
}
ITEM_ROLES: Mapping[str, Sequence[str]] = {
    "item": (*ITEM, "id", "key"),
    "title": ("title", "name", "itemname", "itemtitle", "productname", "producttitle"),
    "description": ("description", "text", "itemdescription", "productdescription", "desc", "abstract", "summary"),
    "brand": ("brand", "brandname", "manufacturer", "maker", "vendor"),
    "categories": ("categories", "category", "genres", "genre"),
    "image": ("image", "images", "imageurl", "imageurls", "imurl", "imagepath", "picture", "pictures", "pictureurl", "photo", "cover", "thumbnail"),
    "audio": ("audio", "audios", "audiourl", "audiopath", "sound"),
    "video": ("video", "videos", "videourl", "videopath"),
}
#: Roles whose value may be several, in a list or separated by `|`.
LISTS = ("categories", "image", "audio", "video")
ALIASES = {"category": "categories", "images": "image", "videos": "video", "name": "title", "text": "description", "time": "timestamp"}
#: One ROLE=COLUMN of several, and a quoted name in it; a lone quote means itself.
PART, QUOTED = re.compile(r'(?:[^,"]|"[^"]*"|")+'), re.compile(r'"[^"]+"')
ROLES = tuple(dict.fromkeys([*INTERACTION_ROLES, *ITEM_ROLES]))


def named(given: Sequence[str]) -> dict[str, list[str]]:
    """What `--columns item=sku,user=customer` says: names of columns by role; a role may be named once for each file.

    Args:
        given: the values of the flag; each may hold several, separated by commas. Names with a comma in them stand in double quotes.

    Raises:
        BadValue: if a part is not ROLE=COLUMN, or there is no such role.
    """
    found: dict[str, list[str]] = {}
    for part in (part for text in given for part in PART.findall(text) if part.strip()):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        column = column[1:-1] if QUOTED.fullmatch(column) else column
        role = ALIASES.get(role.lower(), role.lower())
        if not equals or not column:
            raise BadValue(f"--columns {part.strip()!r} is not ROLE=COLUMN, e.g. item=sku.")
        if role not in ROLES:
            raise BadValue(f"--columns {part.strip()!r} names no role. There are: {', '.join(ROLES)}.")
        found.setdefault(role, []).append(column)
    return found


def check_named(said: Mapping[str, Sequence[str]], tables: Mapping[Path, tuple[Mapping[str, Sequence[str]], Sequence[str]]]) -> None:
    """Make sure that every column a user named is in a file that has its role.

    Args:
        said: names by role.
        tables: roles and columns of each file.

    Raises:
        BadValue: naming the columns that there are.
    """
    for role, names in said.items():
        for name in names:
            if not any(role in roles and name in columns for roles, columns in tables.values()):
                there = "; ".join(f"{path.name} has {', '.join(columns)}" for path, (_, columns) in tables.items())
                raise BadValue(f"--columns {role}={name}: there is no column {name!r} for it. {there}.")


def assigned(
    path: Path, columns: Sequence[str], *, roles: Mapping[str, Sequence[str]], said: Mapping[str, Sequence[str]], required: Sequence[str],
    advice: str | None = None,
) -> dict[str, str]:  # fmt: skip
    """The column of each role that a table has.

    Args:
        path: the table, for messages.
        columns: its columns.
        roles: roles of such a table and the names they go by.
        said: names that the user gave, by role; they come first, and no other role may guess them.
        required: roles without which the table means nothing.
        advice: what to do where such a role has no column; None: name it with `--columns`.

    Raises:
        SourceError: if a required role has no column.
        BadValue: if one column was said for a text and for a list of them.
    """
    found = {role: name for role in roles for name in said.get(role, ()) if name in columns}
    for role, names in roles.items():
        free = {_plain(column): column for column in reversed(columns) if column not in found.values()}
        guess = next((free[name] for name in names if name in free), None)
        if role not in found and guess is not None:
            found[role] = guess
    for role, column in found.items():
        if role in LISTS and (other := next((o for o in found if o not in LISTS and found[o] == column), None)):
            raise BadValue(f"--columns says {column!r} for {other} and for {role}: one holds a text, the other a list. Name it for one of them.")
    for role in required:
        if role not in found:
            taken = {column: f" (taken for {other})" for other, column in found.items() if _plain(column) != other}
            article, there = "an" if role == "item" else "a", ", ".join(f"{name!r}{taken.get(name, '')}" for name in columns[:20])
            what_next = advice or f"Say which one it is with --columns {role}=NAME; the first line has to name the columns."
            raise SourceError(f"{path} has no column that looks like {article} {role}. It has: {there}. {what_next}")
    return {role: found[role] for role in roles if role in found}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()
