"""The page about runs: its structure, what it escapes, its numbers, and what it says of what is not there."""

import json
import re
import shutil
import tomllib
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

import pytest
import small_page
import small_runs
from small_page import parsed, table

from milktrain.page import choosing, document, reading
from milktrain.page.palette import Colours
from schemas import durable
from schemas.errors import BadValue

ROOT = Path(document.__file__).parents[2]
HOSTILE = "<script>alert('1')</script> & \"x\" onload=a <img src=//b.example/c>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return small_page.several(tmp_path_factory.mktemp("page") / "runs")


@pytest.fixture(scope="module")
def text(runs):
    return small_page.page(runs)


@pytest.fixture(scope="module")
def tree(text):
    return parsed(text)


def test_headings_come_in_order_and_every_section_is_named_by_one(tree):
    levels = [int(each.tag[1]) for each in tree.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    titles = ["Dataset", "Results", "Missing modalities", "Sensitivity", "Users", "Training", "Time", "Configuration and fingerprints"]
    assert [each.text for each in tree.all("h2")] == titles
    ids = {each.attributes["id"] for each in tree.all() if "id" in each.attributes}
    assert all(each.attributes["aria-labelledby"] in ids for each in tree.all("section"))


def test_ids_are_unique_and_every_reference_within_the_page_leads_somewhere(tree):
    ids = [each.attributes["id"] for each in tree.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    links = [each.attributes["href"] for each in tree.all("a")]
    named = [name for each in tree.all() for name in each.attributes.get("aria-labelledby", "").split()]
    assert {link.removeprefix("#") for link in links} | set(named) <= set(ids)
    assert links[0] == "#content"  # the way past the contents comes first


def test_the_page_has_a_language_a_policy_and_no_address_outside_itself(tree, text):
    assert next(tree.all("html")).attributes["lang"] == "en"
    policy = next(each.attributes["content"] for each in tree.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.split("; ")[:3] == ["default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"]
    assert "script" not in {each.tag for each in tree.all()}
    assert not [name for each in tree.all() for name in each.attributes if name.startswith("on")]
    addresses = [each.attributes[name] for each in tree.all() for name in ("href", "src", "xlink:href", "action", "data") if name in each.attributes]
    assert all(address.startswith("#") or address == "data:," for address in addresses)
    assert not re.search(r"https?:|//\w|url\(|@import", text)


def test_every_table_has_a_caption_and_heads_with_a_scope(tree):
    found = list(tree.all("table"))
    assert len(found) > 15
    for each in found:
        assert next(each.all("caption")).text
        columns, body = len(list(next(each.all("thead")).all("th"))), next(each.all("tbody"))
        assert all(cell.attributes["scope"] == "col" for cell in next(each.all("thead")).all("th"))
        for row in body.all("tr"):
            cells = list(row.all("th", "td"))
            assert (cells[0].tag, cells[0].attributes["scope"], len(cells)) == ("th", "row", columns)


def test_every_chart_has_a_title_a_description_and_its_numbers(tree):
    figures = list(tree.all("figure"))
    assert len(figures) > 8
    for each in figures:
        drawing = next(each.all("svg"))
        assert drawing.attributes["role"] == "img"
        title, description = next(drawing.all("title")), next(drawing.all("desc"))
        assert title.text == next(each.all("figcaption")).text
        assert len(description.text) > 20
        assert drawing.attributes["aria-labelledby"].split() == [title.attributes["id"], description.attributes["id"]]
        assert list(next(each.all("details")).all("td"))


def test_results_are_the_means_and_deviations_of_the_records(tree, runs):
    row = next(row for row in table(tree, "Test") if row["configuration"] == "milk (lam=2)")
    records = [json.loads(file.read_text()) for file in runs.glob("*-milk-*/run.json")]
    values = [record["metrics"]["test"]["recall@20"] for record in records if record["config"]["lam"] == 2.0]
    assert len(values) == 2
    # Both splits have the users of `RECALL`, mean 0.375, times 0.6 + 2 / 5: no deviation.
    assert values == [pytest.approx(0.375)] * 2
    assert row["recall@20"] == "0.3750 ● (best) ± 0.0000"
    assert row["n"] == "2"
    second = next(row for row in table(tree, "Test") if row["configuration"] == "milk (lam=0.5)")
    assert second["recall@20"].startswith("0.2625 ○ (second)")


def test_differences_are_tested_against_the_best(tree):
    row = next(row for row in table(tree, "recall@20: against milk (lam=2)") if row["configuration"] == "duif")
    assert row["difference"] == f"{0.375 * 0.5 - 0.375:+.4f}"
    assert (row["users"], row["splits"]) == ("8", "2")


def test_sensitivity_joins_configurations_that_differ_in_one_setting_alone(tree):
    rows = table(tree, "recall@20 against lam")
    assert [(row["lam"], row["milk, n = 2"].split()[0]) for row in rows] == [("0.1", "0.2325"), ("0.5", "0.2625"), ("2", "0.3750")]


def test_missing_modalities_and_users_are_those_of_the_files(tree):
    assert [row["duif"].split()[0] for row in table(tree, "recall@20 by number of missing modalities")] == ["0.2000", "0.1000"]
    row = next(row for row in table(tree, "recall@20 of users: means over runs") if row["configuration"] == "duif")
    # Of four users two get nothing, and the others 0.5 and 0.25.
    assert (row["with nothing"].split(" ±")[0], row["mean of the others"]) == ("50.0 %", "0.3750")
    above = {row["recall@20"]: row["duif"] for row in table(tree, "recall@20 of users") if "duif" in row}
    assert [above[value] for value in ("0", "0.2", "0.25", "0.45", "0.5")] == ["0.5000", "0.5000", "0.2500", "0.2500", "0.0000"]


def test_curves_show_validation_with_the_best_epoch_marked(tree):
    rows = table(tree, "duif: ndcg@10 on validation")
    assert [(row["epoch"], row["ftmt-0, seed 0"]) for row in rows] == [("10", "0.0100"), ("20", "0.0200 ● (best)"), ("30", "0.0300")]


def test_everything_a_run_is_told_apart_by_is_on_the_page(tree, runs):
    rows = {row["run"]: row for row in table(tree, "Fingerprints and versions")}
    assert set(rows) == {folder.name for folder in runs.iterdir()}
    one = next(iter(rows.values()))
    assert one["fingerprint"] == "f" * 64
    assert one["SHA-256 of the weights"] == "w" * 64
    assert one["versions"] == "milkprep 0.1.0, torch 2.11.0"
    assert {row["lam"] for row in table(tree, "Settings that differ")} == {"0.1", "0.5 (differs)", "2.0 (differs)", "\N{EN DASH}"}
    assert {row["setting"]: row["value"] for row in table(tree, "Settings that all runs")} == {"dim": "64"}


def test_the_same_runs_give_the_same_bytes_in_any_order_and_place(runs, text, tmp_path, monkeypatch):
    copied = shutil.copytree(runs, tmp_path / "elsewhere" / "runs")
    monkeypatch.chdir(tmp_path)
    assert small_page.page(copied, folders=sorted(copied.iterdir(), reverse=True)) == text


def test_whatever_a_record_says_is_text(tmp_path):
    small_page.write(tmp_path / "runs", model=HOSTILE[:50], store=HOSTILE[:40], settings={HOSTILE: HOSTILE}, split="ftmt-0")
    run = small_page.write(tmp_path / "runs", split=f"ftmt-{chr(0x202E)}{chr(27)}[31m", versions={HOSTILE: HOSTILE}, weights_sha256=HOSTILE)
    (run / "groups.parquet").write_bytes(HOSTILE.encode())
    small_runs.rewrite(run, feature_sets={HOSTILE: {"encoder": HOSTILE, "weights": "random"}}, device=HOSTILE, profile=HOSTILE[:30])
    text = small_page.page(tmp_path / "runs", labels={run.name: HOSTILE})
    tree = parsed(text)
    assert {each.tag for each in tree.all()}.isdisjoint({"script", "img", "iframe", "object", "a:"})
    assert not [name for each in tree.all() for name in each.attributes if name.startswith("on")]
    assert HOSTILE in tree.text
    assert "<script>alert" not in text
    assert chr(0x202E) not in text
    assert chr(27) not in text


def test_random_weights_and_stand_ins_are_said_before_all_else(tmp_path):
    sets = {"visual": {"encoder": "open-clip", "weights": "random"}, "text": {"encoder": "hashed-ngrams", "weights": "none"}}
    small_page.write(tmp_path / "runs", feature_sets=sets)
    alerts = [each.text for each in next(parsed(small_page.page(tmp_path / "runs")).all("header")).all("p")]
    assert [alert.partition(".")[0] for alert in alerts] == ["Random weights: visual by open-clip", "Stand-ins: text by hashed-ngrams"]


def test_vectors_somebody_made_are_no_stand_ins(tree):
    assert list(next(tree.all("header")).all("p")) == []


def test_what_is_not_there_is_said_and_stops_nothing(tmp_path):
    folder = tmp_path / "runs"
    old = small_page.write(folder, split="ftmt-0", groups=False)
    cut = small_page.write(folder, split="ftmt-1")
    (cut / "log.jsonl").write_text('{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "lo')
    bare = small_page.write(folder, split="ftmt-2")
    (bare / "users_test.parquet").unlink()
    broken = small_page.write(folder, split="ftmt-3")
    (broken / "run.json").write_text("{")
    tree = parsed(small_page.page(folder))
    tree.one("p", f"{broken.name} is left out")
    tree.one("p", "The store a.duckdb is not beside")
    tree.one("p", f"1 of 3 runs are older than results by group, and have none: {old.name}.")
    tree.one("p", f"The log of {cut.name} is left out")
    tree.one("p", f"{bare.name} has no metrics of single users")
    tree.one("p", "Nothing could be tested.")
    assert table(tree, "Test")[0]["recall@20"].startswith("0.3750")
    assert len(table(tree, "Fingerprints and versions")) == 3


def test_runs_of_validation_alone_are_said_to_be_so(tmp_path):
    small_page.write(tmp_path / "runs", part="val")
    tree = parsed(small_page.page(tmp_path / "runs"))
    tree.one("p", "judged on validation alone")
    assert table(tree, "Validation")[0]["recall@20"] == "0.3750"


def test_two_hundred_runs_make_a_page_of_reasonable_size(tmp_path):
    first = small_page.write(tmp_path / "runs", epochs=400, best=200)
    for n in range(1, 200):
        run = first.with_name(f"run-{n}")
        run.mkdir()
        for file in first.iterdir():
            (run / file.name).hardlink_to(file)
        (run / "run.json").unlink()
        record = json.loads((first / "run.json").read_text())
        settings = record["config"] | {"lam": float(n // 50), "seed": n % 10}
        (run / "run.json").write_text(json.dumps(record | {"split": f"ftmt-{n // 10 % 5}", "seed": n % 10, "config": settings}))
    text = small_page.page(tmp_path / "runs")
    assert len(text.encode()) < 2_000_000
    lines = [each.attributes["d"] for each in parsed(text).all("path") if "line" in each.attributes.get("class", "")]
    assert max(line.count("L") for line in lines) < 70


def test_colours_follow_the_configuration_and_the_best_has_the_first(runs):
    found, _ = reading.read(runs.iterdir())
    colours = Colours(found)
    assert [colours.of(label) for label in ("milk (lam=2)", "milk (lam=0.5)", "milk (lam=0.1)", "duif")] == [0, 1, 2, 3]


def test_a_page_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    out = tmp_path / "report.html"
    document.write("before", out)

    def full(partial, target):
        raise OSError("No space left on device")

    monkeypatch.setattr(durable, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        document.write("after", out)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert out.read_text() == "before"


def test_a_store_is_not_written_over_by_any_name(tmp_path):
    store = tmp_path / "store.html"
    store.touch()
    (tmp_path / "other.html").symlink_to(store)
    for name in ("store.html", "other.html"):
        with pytest.raises(BadValue, match="is a store or a folder"):
            document.refuse(tmp_path / name, stores=[store])


def test_runs_are_chosen_by_the_start_of_their_names_and_by_their_folders(runs, tmp_path):
    of_duif = sorted(folder for folder in runs.iterdir() if "duif" in folder.name)
    assert sorted(choosing.in_folder(runs, named=["ftmt-0-duif", "ftmt-1-duif"])) == of_duif
    assert choosing.in_folder(tmp_path, named=[str(of_duif[0])]) == of_duif[:1]
    assert len(choosing.in_folder(runs)) == 8
    with pytest.raises(BadValue, match="No run is named 'mtmt'"):
        choosing.in_folder(runs, named=["mtmt"])
    with pytest.raises(BadValue, match="holds no finished run"):
        choosing.in_folder(tmp_path)


def test_the_files_that_the_page_is_made_of_are_installed_with_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    files = [file.name for file in (ROOT / "milktrain" / "page").iterdir() if file.suffix in (".html", ".css")]
    assert sorted(files) == ["page.css", "page.html"]
    assert all(any(fnmatch(file, pattern) for pattern in patterns) for file in files)


def _luminance(colour):
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Contrast of two colours as WCAG 2 has it, from 1 to 21."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_are_far_enough_from_what_they_are_on(scheme):
    css = (ROOT / "milktrain" / "page" / "page.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css.split(":root {")[1 + scheme]))
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    for paper in ("paper", "raised"):
        assert all(contrast(colours[name], colours[paper]) >= 4.5 for name in ("ink", "soft", "link", "c1"))
        assert all(contrast(colours[f"c{n}"], colours[paper]) >= 3 for n in range(8))
    assert contrast(colours["alert"], colours["alert-paper"]) >= 4.5
