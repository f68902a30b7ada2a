"""The page: sections in order, made into HTML that needs nothing from outside and nothing but the runs to be the same bytes again.

Every text goes through one template that escapes it; the page has no script, and tells the browser to load nothing from anywhere.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path

from milktrain.page import configuration, curves, dataset, missing, results, sensitivity, timing, users
from milktrain.page.blocks import Section
from milktrain.page.charts import mark
from milktrain.page.palette import Colours
from milktrain.page.reading import Found
from schemas import __version__, durable
from schemas.errors import BadValue
from schemas.reporting import Reporter, Silent

#: Signs that are no letters and stay, besides those that can be printed.
KEPT = "\n\N{NO-BREAK SPACE}"
ENDINGS = (".html", ".htm")


def refuse(out: Path, *, stores: Sequence[Path] = ()) -> None:
    """Refuse a file that cannot be meant, before anything is computed.

    Raises:
        BadValue: if it is no HTML file by its name, lies in no folder, is a folder, or is a store.
    """
    if out.suffix.lower() not in ENDINGS:
        raise BadValue(f"--out writes an HTML page, and {out} ends otherwise. Name a file that ends in .html.")
    if not out.absolute().parent.is_dir() or out.is_dir() or out.resolve() in {store.resolve() for store in stores}:
        raise BadValue(f"--out {out} is a store or a folder, or lies in no folder. Name another file.")


def sections(found: Sequence[Found], *, store: Path | None = None, reporter: Reporter | None = None) -> list[Section]:
    """Everything the page says of some runs.

    Args:
        found: the runs, one or more.
        store: where their store is; beside the folder of runs when None.
        reporter: is told the sections.
    """
    colours = Colours(found)
    makers: list[Callable[[], Section]] = [
        lambda: dataset.section(found, store=store),
        lambda: results.section(found, colours),
        lambda: missing.section(found, colours),
        lambda: sensitivity.section(found),
        lambda: users.section(found, colours),
        lambda: curves.section(found, colours),
        lambda: timing.section(found, colours),
        lambda: configuration.section(found),
    ]
    made = []
    with (reporter or Silent()).progress("report", total=len(makers), unit="sections") as told:
        for make in makers:
            made.append(make())
            told.advance()
    return made


def render(found: Sequence[Found], parts: Sequence[Section], *, left_out: Sequence[str] = ()) -> str:
    """The page as text.

    Args:
        found: the runs.
        parts: what it says, see `sections`.
        left_out: what could not be read, in words.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, finalize=_printable, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    here = resources.files("milktrain.page")
    template = environment.from_string(here.joinpath("page.html").read_text(encoding="utf-8"))
    style = here.joinpath("page.css").read_text(encoding="utf-8")
    alerts = [*configuration.warnings(found), *left_out]
    return template.render(
        title=_title(found), lead=_lead(found), alerts=alerts, sections=parts, style=style, version=__version__, mark=partial(mark, left=12, top=5)
    )


def write(text: str, out: Path) -> None:
    """Write the page, whole or not at all; one that is there is replaced.

    Raises:
        OSError: if the file cannot be written.
    """
    unfinished = out.with_name(f".{out.name}.partial")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        durable.rename(unfinished, out)
    finally:
        unfinished.unlink(missing_ok=True)


def _title(found: Sequence[Found]) -> str:
    return f"{len(found)} {'run' if len(found) == 1 else 'runs'} on {_few({Path(run.store).stem for run in found})}"


def _lead(found: Sequence[Found]) -> list[tuple[str, str]]:
    """What the runs have to do with each other, as names and values."""
    finished = sorted({str(run.record.get("finished_at"))[:16].replace("T", " ") for run in found if run.record.get("finished_at")})
    return [
        ("Models", _few({run.model for run in found})),
        ("Settings", _few({run.setting.upper() for run in found})),
        ("Splits", _few({run.split for run in found})),
        ("Seeds", _few({str(run.seed) for run in found})),
        ("Modalities", _few({str(run.record.get("modalities") or "not recorded").replace(",", " + ") for run in found})),
        ("Finished", f"{finished[0]} to {finished[-1]} (UTC)" if len(finished) > 1 else finished[0] if finished else "not recorded"),
    ]


def _few(names: set[str], most: int = 8) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:most]) + (f" and {len(ordered) - most} more" if len(ordered) > most else "")


def _printable(value: object) -> object:
    """Text without what has no sign or turns the reading direction; what the template has made already is left alone."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "".join(sign if sign.isprintable() or sign in KEPT else "\N{REPLACEMENT CHARACTER}" for sign in value)
