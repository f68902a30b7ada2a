"""Comparisons as Markdown, LaTeX and CSV: what is marked, what is said, and labels that would be commands."""

import io
import re
import shutil
import subprocess

import numpy as np
import polars as pl
import pytest
from small_runs import labelled, write

from milktrain.comparing import comparison, layout, rendering, terminal
from schemas.errors import BadValue

METRIC = "recall@20"
COLUMN = ("a.duckdb", "ftmt", METRIC)
HOSTILE = "my_model 100% \\input{x} & $y$ #1 ~^ <b>|[z]*`"


@pytest.fixture
def three(tmp_path):
    """Labels a, b, c with means .5, .25 and .125 on two splits."""
    return [
        labelled(label, write(tmp_path, {METRIC: [value, value + 0.125 * at, value - 0.125 * at]}, model=label, split=f"ftmt-{at}"))
        for label, value in {"a": 0.5, "b": 0.25, "c": 0.125}.items() for at in (0, 1)
    ]  # fmt: skip


def compare(runs, *metrics):
    return comparison.compare(runs, metrics=metrics or [METRIC], resamples=50)


def hostile(folder):
    generator, names = np.random.default_rng(0), {HOSTILE: "m", "plain": "n"}
    return compare([
        labelled(label, write(folder, {METRIC: generator.random(8)}, model=name, split=split))
        for label, name in names.items() for split in ("ftmt-0", "ftmt-1")
    ])  # fmt: skip


def test_markdown_has_the_best_in_bold_the_second_underlined_and_says_so(three):
    text = rendering.markdown(compare(three))
    assert text.splitlines()[:7] == [
        "|  | a FTMT Recall@20 |",
        "| --- | --- |",
        "| a | **0.5000 ± 0.0000** |",
        "| b | <u>0.2500 ± 0.0000</u> |",
        "| c | 0.1250 ± 0.0000 |",
        "",
        "- Mean and standard deviation (divisor n - 1) on test: n = 2 splits.",
    ]
    assert "- Of each column the best in bold, the second underlined." in text
    assert "a FTMT Recall@20, against a:" in text
    assert "| b | -0.2500 | " in text


def test_one_label_alone_is_not_the_best(three):
    text = rendering.markdown(compare(three[:2]))
    assert "| a | 0.5000 ± 0.0000 |" in text
    assert "best" not in text


def test_cells_over_other_splits_have_a_dagger_in_every_format(three):
    found = compare(three[:5])
    assert "| c | 0.1250† |" in rendering.markdown(found)
    assert r"c & 0.1250$^\dagger$ \\" in rendering.latex(found)
    assert terminal.show(found).tables[0][1]["Recall@20"].to_list() == ["0.5000 ± 0.0000*", "0.2500 ± 0.0000'", "0.1250†"]
    assert "n = 2 splits, but n = 1 seed of c (a FTMT)" in rendering.markdown(found)


def test_latex_is_whole_tables_with_rows_of_equal_length(three, tmp_path):
    text = rendering.latex(compare(three))
    assert r"\textbf{0.5000 $\pm$ 0.0000}" in text
    assert r"\underline{0.2500 $\pm$ 0.0000}" in text
    assert r"& \multicolumn{1}{c}{a FTMT} \\" in text
    for each in (text, rendering.latex(hostile(tmp_path / "hostile"))):
        check_latex(each)


def check_latex(text):
    """Environments and braces that close, and rows as long as their alignment says."""
    plain = re.sub(r"\\\\|\\[&%$#_{}]", "", text.replace("\\\\\n", "\n"))
    assert plain.count("{") == plain.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", text) == ["table", "tabular"] * 2
    assert re.findall(r"\\end\{(\w+)\}", text) == ["tabular", "table"] * 2
    for alignment, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        rules = (r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule")
        rows = [line for line in body.splitlines() if line and not line.startswith(rules)]
        assert all(row.endswith(r"\\") for row in rows)
        spans = [sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row)) for row in rows]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 + span for row, span in zip(rows, spans, strict=True)} == {len(alignment)}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_becomes_a_page_on_which_nothing_is_wider_than_a_line(three, tmp_path):
    tables = rendering.latex(compare(three)), rendering.latex(hostile(tmp_path / "hostile"))
    head = r"\documentclass{article}\usepackage{booktabs}\usepackage{graphicx}\begin{document}"
    (tmp_path / "page.tex").write_text("\n".join([head, *tables, r"\end{document}"]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert "Overfull" not in done.stdout


def test_labels_that_would_be_commands_of_latex_are_text(tmp_path):
    text = rendering.latex(hostile(tmp_path))
    escaped = (
        r"my\_model 100\% \textbackslash{}input\{x\} \& \$y\$ \#1 \textasciitilde{}\textasciicircum{} \textless{}b\textgreater{}\textbar{}{[}z{]}{*}`"
    )
    assert f"\n{escaped} & " in text
    assert r"\input" not in text


def test_labels_that_would_be_marks_of_markdown_are_text(tmp_path):
    text = rendering.markdown(hostile(tmp_path))
    escaped = r"my\_model 100% \\input{x} \& \$y\$ #1 \~^ \<b\>\|\[z\]\*\`"
    assert f"\n| {escaped} | " in text
    assert "<b>" not in text


def test_csv_is_the_frame(tmp_path, three):
    for found in (compare(three), hostile(tmp_path / "hostile")):
        frame = found.frame()
        read = pl.read_csv(io.StringIO(rendering.csv(found)), schema=frame.schema)
        assert read.with_columns(pl.col("lacks", "against").fill_null("")).equals(frame.with_columns(pl.col("lacks", "against").fill_null("")))


def test_published_numbers_stand_beside_ours_and_are_never_marked_or_tested(three):
    found = compare(three)
    other = ("b.duckdb", "ftmt", METRIC)
    theirs = {"published": {COLUMN: 0.75, other: 0.0625}}
    markdown, latex = rendering.markdown(found, extra=theirs), rendering.latex(found, extra=theirs)
    assert "| published | 0.7500 | 0.0625 |" in markdown
    assert "| a | **0.5000 ± 0.0000** |  |" in markdown
    assert "\\midrule\npublished & 0.7500 & 0.0625 \\\\" in latex
    check_latex(latex)
    (_, mine), (title, added), *_ = terminal.show(found, extra=theirs).tables
    assert (title, added["Recall@20"].to_list()) == ("b FTMT", ["0.0625"])
    assert mine["Recall@20"].to_list()[-1] == "0.7500"
    rows = pl.read_csv(io.StringIO(rendering.csv(found, extra=theirs))).filter(label="published")
    assert rows.select("mean", "sd", "rank", "p_t").rows() == [(0.75, None, None, None), (0.0625, None, None, None)]
    with pytest.raises(BadValue, match="'a' is a row of our own"):
        rendering.markdown(found, extra={"a": {COLUMN: 0.5}})


def test_a_metric_that_only_others_have_stands_with_its_dataset(three, tmp_path):
    runs = [*three, labelled("a", write(tmp_path, {METRIC: [0.5]}, model="a", split="mtmt-0"))]
    added = ("a.duckdb", "ftmt", "ndcg@20")
    laid = layout.lay_out(compare(runs), extra={"published": {added: 0.5}})
    assert laid.columns == [COLUMN, added, ("a.duckdb", "mtmt", METRIC)]


def test_rows_stand_in_the_order_asked_for(three):
    found, order = compare(three), ["c", "unknown", "a"]
    assert [label for label, _ in layout.lay_out(found, order=order).rows] == ["c", "a", "b"]
    assert [row[0] for row in layout.differences(found, order=order)[0].rows] == ["c", "b"]
    assert pl.read_csv(io.StringIO(rendering.csv(found, order=order)))["label"].to_list() == ["c", "a", "b"]


def test_a_terminal_is_shown_corrected_p_values_and_told_so(three):
    shown = terminal.show(compare(three))
    tested = dict(shown.tables)["a FTMT Recall@20, against a, on 2 splits"]
    assert tested.columns == ["", "gain", "low", "high", "t users", "Wilcoxon", "t splits"]
    assert tested["gain"].to_list() == ["-0.2500", "-0.3750"]
    notes = " ".join(shown.notes)
    assert "the best has *, the second '" in notes
    assert "p over users is too small" in notes
