"""How the command line says what is lost: `--scenario complete=.1,one=.45,two=.45` and `--loss PART:MODALITY=SHARE`."""

from collections.abc import Sequence

from milkprep.splitting.plan import HELD_OUT, LEVELS, SCENARIO_FORM, check_scenario
from schemas.contracts import Modality, Part
from schemas.errors import BadValue

#: How `--loss` calls parts, besides their own names.
SEVERAL_PARTS = {"new": HELD_OUT, "all": tuple(Part)}
LOSS_FORM = "Write e.g. --loss test:visual=.3 or --loss new:visual=.3,text=.1; parts are train, val, test, new (val and test) and all."


def parse_scenario(text: str) -> tuple[float, ...]:
    """Shares that lose 0, 1, ... modalities from what `--scenario` says.

    Raises:
        BadValue: if it cannot be meant.

    Example:
        >>> parse_scenario("complete=.1,one=.45,two=.45")
        (0.1, 0.45, 0.45)
    """
    found = _shares(text, flag="--scenario", known=LEVELS, form=SCENARIO_FORM)
    last = max(LEVELS.index(name) for name in found)
    shares = tuple(found.get(name, 0.0) for name in LEVELS[: last + 1])
    check_scenario(shares)
    return shares


def parse_losses(texts: Sequence[str]) -> dict[Part, dict[Modality, float]]:
    """Shares by part and modality from what each `--loss` says.

    Raises:
        BadValue: if it cannot be meant, or says two things of one modality in one part.

    Example:
        >>> parse_losses(["new:visual=.3"])[Part.TEST]
        {<Modality.VISUAL: 'visual'>: 0.3}
    """
    found: dict[Part, dict[Modality, float]] = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        parts = SEVERAL_PARTS.get(name.strip(), tuple(part for part in Part if part.value == name.strip()))
        if not colon or not parts:
            raise BadValue(f"--loss {text!r} names no part. {LOSS_FORM}")
        for modality, share in _shares(rest, flag=f"--loss {name}:", known=tuple(Modality), form=LOSS_FORM).items():
            for part in parts:
                if Modality(modality) in found.setdefault(part, {}):
                    raise BadValue(f"--loss says twice what {part} loses of {modality}. Say it once.")
                found[part][Modality(modality)] = share
    return found


def _shares(text: str, *, flag: str, known: Sequence[str], form: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for piece in text.split(","):
        name, _, value = (each.strip() for each in piece.partition("="))
        if name not in known:
            raise BadValue(f"{flag} {text!r}: {name!r} is none of {', '.join(known)}. {form}")
        if name in found:
            raise BadValue(f"{flag} {text!r} names {name} twice. {form}")
        try:
            found[name] = float(value)
        except ValueError:
            raise BadValue(f"{flag} {text!r}: {value!r} is no number. {form}") from None
        if not 0 <= found[name] <= 1:
            raise BadValue(f"{flag} {text!r}: shares lie between 0 and 1, {name} does not. {form}")
    return found
