"""Comparisons as Markdown, LaTeX and CSV; `terminal` has them for a terminal.

`extra` lets published numbers stand beside ours: a value by column (dataset, setting, metric) by label. They are never marked, ranked or tested.
`order` says which labels stand first; else rows are in alphabetical order.
"""

import io
import re
from collections.abc import Sequence
from itertools import groupby

import polars as pl

from milktrain.comparing import layout
from milktrain.comparing.layout import Extra, Layout, Mark
from milktrain.comparing.results import Comparison

#: What LaTeX takes for commands.
LATEX = {
    "[": "{[}", "]": "{]}", "*": "{*}",  # which a line break before them would take for its own
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "±": r"$\pm$", "†": r"$\dagger$", "…": r"\dots{}",
}  # fmt: skip
#: Shrinks what is wider than a line, and nothing else.
SHRUNK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
#: What Markdown takes for marks, or for HTML.
MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$&])")


def markdown(comparison: Comparison, *, extra: Extra | None = None, order: Sequence[str] = ()) -> str:
    """Two tables, of means and of tests, each with what its numbers are."""
    laid = layout.lay_out(comparison, extra=extra, order=order)
    head = ["", *(" ".join(map(_md, layout.heading(column))) for column in laid.columns)]
    rows = [[_md(label), *map(_md_mark, marks)] for label, marks in [*laid.rows, *laid.extra]]
    lines = [*_md_table(head, rows), "", *_md_said(layout.caption(comparison, marks="the best in bold, the second underlined"))]
    if comparison.tests:
        for tests in layout.differences(comparison, order=order):
            lines += [
                "",
                f"{_md(f'{tests.title}, against {tests.against}')}:",
                "",
                *_md_table(["", *layout.HEADINGS], [[_md(text) for text in row] for row in tests.rows]),
            ]
        lines += ["", *_md_said(layout.about_tests(comparison))]
    return "\n".join(lines) + "\n"


def latex(comparison: Comparison, *, extra: Extra | None = None, order: Sequence[str] = ()) -> str:
    """Environments `table` that need the packages booktabs and graphicx: means, and tests where there are any."""
    laid = layout.lay_out(comparison, extra=extra, order=order)
    body = [_tex_row(label, marks) for label, marks in laid.rows]
    if laid.extra:
        body += [r"\midrule", *(_tex_row(label, marks) for label, marks in laid.extra)]
    said = layout.caption(comparison, marks="the best is bold, the second underlined")
    needs = r"% needs \usepackage{booktabs} and \usepackage{graphicx}"
    lines = [needs, *_tex_table("l" + "c" * len(laid.columns), [*_tex_heads(laid), r"\midrule", *body], said)]
    if comparison.tests:
        rows = [" & ".join(["", *map(_tex, layout.HEADINGS)]) + r" \\"]
        for tests in layout.differences(comparison, order=order):
            rows += [r"\midrule", rf"\multicolumn{{{len(layout.HEADINGS) + 1}}}{{l}}{{{_tex(f'{tests.title}, against {tests.against}')}}} \\"]
            rows += [" & ".join(map(_tex, row)) + r" \\" for row in tests.rows]
        lines += ["", *_tex_table("l" + "r" * len(layout.HEADINGS), rows, layout.about_tests(comparison))]
    return "\n".join(lines) + "\n"


def csv(comparison: Comparison, *, extra: Extra | None = None, order: Sequence[str] = ()) -> str:
    """A row a label and column, see `Comparison.frame`; published numbers have a mean alone."""
    laid = layout.lay_out(comparison, extra=extra, order=order)  # which sees that no label is ours and theirs
    place = {label: at for at, (label, _) in enumerate(laid.rows)}
    ours = comparison.frame()
    ours = ours.sort(pl.col("label").replace_strict(place, return_dtype=pl.Int64), maintain_order=True) if order else ours
    rows = [
        {"label": label, "dataset": dataset, "setting": setting, "metric": metric, "mean": value}
        for label, row in (extra or {}).items()
        for (dataset, setting, metric), value in row.items()
    ]
    theirs = pl.DataFrame(rows, schema={name: ours.schema[name] for name in ("label", "dataset", "setting", "metric", "mean")})
    target = io.StringIO()
    pl.concat([ours, theirs], how="diagonal").write_csv(target)
    return target.getvalue()


def _md(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", _one_line(text))


def _md_mark(mark: Mark | None) -> str:
    if mark is None:
        return ""
    marked = (mark.text, f"**{mark.text}**", f"<u>{mark.text}</u>")[mark.place]
    return marked + layout.DAGGER * mark.dagger


def _md_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _md_said(sentences: Sequence[str]) -> list[str]:
    return [f"- {_md(sentence)}" for sentence in sentences]


def _tex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in _one_line(text))


def _one_line(text: str) -> str:
    """Text that cannot break a row, and holds no letters that are none."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _tex_mark(mark: Mark | None) -> str:
    if mark is None:
        return "--"
    text = _tex(mark.text)
    return (text, rf"\textbf{{{text}}}", rf"\underline{{{text}}}")[mark.place] + r"$^\dagger$" * mark.dagger


def _tex_row(label: str, marks: Sequence[Mark | None]) -> str:
    return " & ".join([_tex(label), *map(_tex_mark, marks)]) + r" \\"


def _tex_heads(laid: Layout) -> list[str]:
    """Dataset and setting over their metrics, with a rule below each."""
    above, rules, at = [], [], 2
    for place, columns in groupby(layout.heading(column)[0] for column in laid.columns):
        width = len(list(columns))
        above.append(rf"\multicolumn{{{width}}}{{c}}{{{_tex(place)}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    metrics = [_tex(layout.heading(column)[1]) for column in laid.columns]
    return [" & ".join(["", *above]) + r" \\", " ".join(rules), " & ".join(["", *metrics]) + r" \\"]


def _tex_table(alignment: str, body: Sequence[str], said: Sequence[str]) -> list[str]:
    return [
        r"\begin{table}", r"\centering", r"\caption{" + " ".join(map(_tex, said)) + "}", SHRUNK, rf"\begin{{tabular}}{{{alignment}}}", r"\toprule",
        *body, r"\bottomrule", r"\end{tabular}}", r"\end{table}",
    ]  # fmt: skip
