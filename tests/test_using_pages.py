"""docs/recommending.md and docs/python.md do what they say, on a small shop, command by command and line by line."""

import re

import numpy as np
import pytest
from media_samples import gradient, write_picture
from test_cli import ROOT, run
from test_documentation import FENCED, shell_lines

PAGE, PYTHON = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("recommending.md", "python.md"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder as the page describes: 40 items with titles, 30 of them with pictures, 30 users; and the new items that it shows."""
    folder = tmp_path_factory.mktemp("using")
    shop = folder / "shop"
    (shop / "images").mkdir(parents=True)
    (folder / "pictures").mkdir()
    generator = np.random.default_rng(0)
    rows = [f"mug-{n},Mug {'blue' if n % 2 else 'red'} {n}" for n in range(40)]
    (shop / "items.csv").write_text("\n".join(["sku,name", *rows]) + "\n")
    pairs = sorted({(int(u), int(i)) for u, i in zip(generator.integers(30, size=500), generator.integers(40, size=500), strict=True)})
    (shop / "interactions.csv").write_text("customer,sku,date\n" + "".join(f"u{u},mug-{i},2024-03-0{1 + u % 9}\n" for u, i in pairs))
    for n in range(30):
        write_picture(shop / "images" / f"mug-{n}.png", np.roll(gradient(), 5 * n, axis=n % 2))
    for n in (900, 902):
        write_picture(folder / "pictures" / f"mug-{n}.png", np.roll(gradient(), n % 31, axis=n % 2))
    shown = [block for block in FENCED.findall(PAGE) if block.startswith('{"item"')]
    (folder / "new.jsonl").write_text(shown[0])
    return folder


def test_the_commands_of_the_page_run_in_their_order(shop, monkeypatch):
    monkeypatch.chdir(shop)
    monkeypatch.setenv("COLUMNS", "80")
    lines = list(shell_lines(PAGE))
    assert len(lines) > 12
    said = {}
    for line in lines:
        words = re.findall(r"\S+", line)[2:]
        done = run(*words, *(["--set", "max_epochs=2"] if words[0] == "train" else []))
        said[line] = done.stdout + done.stderr
        if words[0] in ("recommend", "similar", "evaluate") and "--json" not in words:
            assert max(map(len, done.stdout.splitlines())) <= 80
    of = {name: next(text for line, text in said.items() if name in line) for name in ("--items", "evaluate --run ftmt-0 --store", "--split ftft-0")}
    assert "1 of 4 items have no modality that the run uses" in of["--items"]
    assert "mug-903   nothing" in of["--items"]
    assert "visual (no picture and no video)" in of["--items"]
    assert "to the bit" in of["evaluate --run ftmt-0 --store"]
    assert "left out" not in of["--split ftft-0"]


def test_the_python_of_the_page_runs(shop, monkeypatch, capsys):
    monkeypatch.chdir(shop)
    if not (shop / "shop.duckdb").exists():
        for line in list(shell_lines(PAGE))[:4]:
            run(*re.findall(r"\S+", line)[2:])
    for folder in (shop / "runs").glob("*"):
        folder.rename(shop / f"earlier-{folder.name}")
    (code,) = re.findall(r"^```python\n(.*?)^```", PYTHON, re.MULTILINE | re.DOTALL)
    exec(compile(code, "docs/python.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "ftmt-0-milk-default-" in shown
    assert "mug-900" in shown
