"""The page about runs of many kinds: each table in its own order, nothing said of settings that are not there, nothing left out in silence."""

import pytest
import small_page
from small_page import parsed, table

DASH = "\N{EN DASH}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """On ftmt duif is best and gar worst, on mtmt it is the other way round; milk in many settings, and a floor; vbpr on another split besides."""
    folder = tmp_path_factory.mktemp("many") / "runs"
    for split, first, second in (("ftmt-0", 0.9, 0.1), ("mtmt-0", 0.2, 1.0)):
        small_page.write(folder, split=split, model="duif", better=first)
        small_page.write(folder, split=split, model="gar", better=second, settings={"of_model": {"depth": 3}})
    for at in range(24):
        settings = {"alpha": float(at), "beta": at % 2, "dim": 64 + at % 3}
        small_page.write(folder, split="ftmt-0", better=0.5 + at / 100, settings=settings, groups=False)
    small_page.write(folder, split="ftmt-0", model="popularity", better=0.05, epochs=0, best=0, seconds_per_epoch=0.0)
    for split in ("ftmt-0", "ftmt-1"):
        small_page.write(folder, split=split, model="vbpr", better=0.8)
    return parsed(small_page.page(folder))


def _first_cells(tree, caption):
    """Of all tables of one caption the first cells of their rows."""
    found = [each for each in tree.all("table") if next(each.all("caption")).text == caption]
    return [[next(row.all("th", "td")).text for row in next(each.all("tbody")).all("tr")] for each in found]


def test_rows_of_a_dataset_and_setting_are_in_its_own_order_and_those_not_comparable_last(tree):
    on_ftmt, on_mtmt = _first_cells(tree, "Test")
    assert (on_ftmt[0], on_ftmt[-3:]) == ("duif", ["gar", "popularity", "vbpr †"])
    assert on_mtmt == ["gar", "duif"]


def test_tests_are_in_the_order_of_the_table_and_have_no_column_without_a_number(tree):
    rows = table(tree, "recall@20: against duif")
    assert [row["configuration"] for row in rows][-3:] == ["gar", "popularity", "vbpr"]
    assert "p (t, splits)" not in rows[0]
    assert {row["splits"] for row in rows} == {"1"}


def test_what_a_model_does_not_have_is_no_difference(tree):
    told = {row["configuration"]: row for row in table(tree, "Settings that differ")}
    assert (told["popularity"]["alpha"], told["popularity"]["dim"], told["gar"]["depth"], told["duif"]["depth"]) == (DASH, DASH, "3", DASH)


def test_a_floor_has_no_epochs(tree):
    rows = {row["configuration"]: row for row in table(tree, "Time of a run")}
    assert (rows["popularity"]["seconds an epoch"], rows["popularity"]["epochs"], rows["popularity"]["seconds in all"]) == (DASH, DASH, "20.0")
    assert rows["duif"]["epochs"] == "30"


def test_what_labels_go_without_saying_is_said_and_how_many_bars_are_drawn(tree):
    assert "Where a label of milk does not say otherwise: dim=64, alpha=0, beta=0" in " ".join(each.text for each in tree.all("p"))
    assert "Test recall@20: 24 of 28" in tree.text
