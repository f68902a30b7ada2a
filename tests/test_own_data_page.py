"""The walk-through of docs/own-data.md does what it says, command by command, and its template is what it shows."""

import re

import numpy as np
import pytest
from media_samples import gradient, tone, write_picture, write_wav
from test_cli import ROOT, run
from test_documentation import FENCED, shell_lines

from milkprep.sources import folder
from schemas.reporting import Silent
from schemas.store import Store

PAGE = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
TEMPLATE = ROOT / "examples" / "own_catalogue"


@pytest.fixture
def shop(tmp_path):
    """A folder as the page describes: 40 items, 30 users, pictures of most and sound of some."""
    shop = tmp_path / "shop"
    for name in ("images", "audio"):
        (shop / name).mkdir(parents=True)
    generator = np.random.default_rng(0)
    rows = [f"mug-{n},Mug {'blue' if n % 2 else 'red'} {n}" for n in range(40)]
    (shop / "items.csv").write_text("\n".join(["sku,name", *rows]) + "\n")
    pairs = sorted({(int(u), int(i)) for u, i in zip(generator.integers(30, size=500), generator.integers(40, size=500), strict=True)})
    (shop / "interactions.csv").write_text("customer,sku,date\n" + "".join(f"u{u},mug-{i},2024-03-0{1 + u % 9}\n" for u, i in pairs))
    for n in range(30):
        write_picture(shop / "images" / f"mug-{n}.png", np.roll(gradient(), 5 * n, axis=n % 2))
    for n in range(20, 40):
        write_wav(shop / "audio" / f"mug-{n}.wav", tone(0.3, hz=100.0 + 20 * n))
    return shop


def test_the_walk_through_goes_from_raw_files_to_a_trained_model(shop, monkeypatch):
    monkeypatch.chdir(shop.parent)
    lines = [line for line in shell_lines(PAGE) if "microlens" not in line]
    assert len(lines) > 10
    for line in lines:
        words = [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', line)[2:]]
        run(*words, *(["--set", "max_epochs=2"] if words[0] == "train" else []))
        if "--dry-run" in words:
            assert not list(shop.parent.glob("*.duckdb")) or "--columns" in words
    with Store(shop.parent / "shop.duckdb", mode="read") as store:
        assert store.query('SELECT count(*) FILTER (visual), count(*) FILTER ("text"), count(*) FILTER (audio) FROM modality_availability').row(
            0
        ) == (30, 40, 20)
        assert all(frame.is_empty() for frame in store.violations().values())
    assert len(list((shop.parent / "runs").iterdir())) == 1


def test_the_page_shows_the_start_of_the_template():
    shown = [block.strip() for block in FENCED.findall(PAGE) if block.startswith(("item,", "user,"))]
    starts = [(TEMPLATE / name).read_text(encoding="utf-8") for name in ("items.csv", "interactions.csv")]
    assert [start.startswith(block) for start, block in zip(starts, shown, strict=True)] == [True, True]


def test_the_template_is_taken_whole(tmp_path):
    report = folder.pull(tmp_path / "s.duckdb", folder=TEMPLATE, reporter=Silent())
    assert (report.n_users, report.n_items, report.n_interactions) == (4, 5, 8)
    assert "dropped" not in " ".join(report.steps["in_words"])
    with Store(tmp_path / "s.duckdb", mode="read") as store:
        statuses = dict(store.query("SELECT item_key, status FROM assets JOIN items USING (item_idx) WHERE modality = 'visual'").rows())
    assert statuses == {"mug-blue": "pending", "mug-red": "pending", "lamp-desk": "pending", "new-teapot": "pending", "scarf-wool": "not_fetched"}
