"""Plans: what may stand in one, what is wrong with one, and those that are shipped."""

import pytest
import small_experiments

from milktrain.experiments import chosen, plan, published, reading, shipped
from schemas.errors import BadValue, UnknownName

GOOD = """
title = "Two rows"
settings = ["ftmt", "lose-two"]
seeds = 2
set = { max_epochs = 2 }
search = { trials = 4 }
[scenarios]
lose-two = [0.5, 0.25, 0.25]
[datasets.Baby]
milk = { beta = 1000, lam = 0.05 }
[[row]]
name = "MILK"
[[row]]
name = "fixed"
set = { lam = 2.0 }
search = { trials = 2, splits = [0, 1], each_setting = false }
[[row]]
name = "grid"
vary = { alpha = [0.1, 1.0], beta = [1.0] }
search = false
"""
BAD = """
titel = "misspelt"
settings = ["ftmt", "ftxx"]
seeds = 0
metrics = ["recall@7", "ndgc@10"]
published = "table9"
[scenarios]
half = [0.5]
[[row]]
name = "MILK"
set = { betta = 1, lam = -1 }
[[row]]
name = "MILK"
model = "milc"
[[row]]
name = "seeded"
set = { seed = 3 }
[[row]]
name = "wide"
colour = "red"
[[row]]
model = "duif"
"""


def test_everything_wrong_with_a_plan_is_told_at_once():
    with pytest.raises(BadValue, match=r"no plan to carry out") as caught:
        reading.parse(BAD, told="plan.toml")
    for words in (
        "titel: a plan has no such entry", "title: it is missing", "seeds:", "row 'wide': colour: a plan has no such entry",
        "row 5: name: it is missing", "betta: there is no such setting", "lam:", "no model named 'milc'", "the name is given twice",
        "seed is said by the plan's seeds",
    ):  # fmt: skip
        assert words in str(caught.value), words


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"settings": ["ftmt", "ftxx"]}, "'ftxx' is none of"),
        ({"settings": ["ftmt", "ftmt"]}, "'ftmt' is given twice"),
        ({"metrics": ["ndgc@10"]}, "ndgc@10 is none of"),
        ({"metrics": ["recall@7"]}, "recall@7 is not measured"),
        ({"published": "table9"}, "'table9' is none of table2"),
        ({"scenarios": {"half": [0.5]}}, "sum to 0.5"),
        ({"scenarios": {"ftft": [1.0]}}, "give another name"),
        ({"loss": {"before": "ftft", "after": "ftmt"}}, "'ftft' is not among the settings"),
        ({"search": {"trials": 2, "splits": [0, 0]}}, "names a split twice"),
        ({"search": {"trials": 2, "space": {"alhpa": {"low": 1, "high": 2}}}}, "alhpa: there is no such setting"),
        ({"datasets": {"Baby": {"milc": {}}}}, "there is no model 'milc'"),
        ({"datasets": {"Baby": {"milk": {"beta": -1}}}}, "beta:"),
        ({"preset": "papper"}, "no preset named 'papper'"),
        ({"row": []}, "at least one table"),
    ],
)
def test_a_mistake_in_a_plan_is_named(header, words):
    with pytest.raises(BadValue) as caught:
        small_experiments.plan(**header)
    assert words in str(caught.value)


def test_what_is_no_toml_is_refused(tmp_path):
    (tmp_path / "plan.toml").write_text("title = [")
    with pytest.raises(BadValue, match="cannot be read as TOML"):
        reading.load(tmp_path / "plan.toml")
    with pytest.raises(BadValue, match="cannot be read"):
        reading.load(tmp_path / "other.toml")


def test_rows_are_as_they_stand_and_one_that_varies_settings_is_a_row_a_value():
    found = plan.lines(reading.parse(GOOD, told="plan.toml"))
    assert [line.name for line in found] == ["MILK", "fixed", "grid, alpha 0.1", "grid, alpha 1.0", "grid, beta 1.0"]
    assert [line.varied for line in found] == [None, None, ("alpha", 0.1), ("alpha", 1.0), ("beta", 1.0)]
    assert [line.search.trials if line.search else 0 for line in found] == [4, 2, 0, 0, 0]


def test_a_search_is_in_each_setting_or_in_the_first_for_all():
    planned = reading.parse(GOOD, told="plan.toml")
    each, first, none = (plan.searches(planned, line) for line in plan.lines(planned)[:3])
    assert each == {"ftmt": ["ftmt-0"], "lose-two": ["lose-two-0"]}
    assert first == {"ftmt": ["ftmt-0", "ftmt-1"], "lose-two": ["ftmt-0", "ftmt-1"]}
    assert none == {}


def test_settings_are_laid_over_each_other_from_the_plan_to_what_a_search_found():
    planned = reading.parse(GOOD, told="plan.toml")
    milk, fixed = plan.lines(planned)[:2]
    assert (chosen.settings_of(planned, milk, dataset=None, seed=4).beta, chosen.settings_of(planned, milk, dataset=None, seed=4).seed) == (50.0, 4)
    of_baby = chosen.settings_of(planned, fixed, dataset="Baby", seed=0)
    assert (of_baby.max_epochs, of_baby.beta, of_baby.lam) == (2, 1000.0, 2.0)
    assert chosen.settings_of(planned, fixed, dataset="Baby", seed=0, found={"beta": 7.0}).beta == 7.0


def test_what_a_row_sets_is_not_searched():
    planned = small_experiments.plan({"name": "a", "set": {"lam": 1.0, "imputation": "zero"}}, search={"trials": 2})
    line = plan.lines(planned)[0]
    varied = [each.name for each in chosen.space_of(line, base=chosen.settings_of(planned, line, dataset=None, seed=0)).dimensions]
    assert "beta" in varied
    assert not {"lam", "imputation", "neighbours"} & set(varied)  # neighbours are varied with one imputation only


def test_a_row_without_anything_to_search_is_not_searched():
    planned = small_experiments.plan({"name": "floor", "model": "popularity"}, search={"trials": 2})
    line = plan.lines(planned)[0]
    assert chosen.space_of(line, base=chosen.settings_of(planned, line, dataset=None, seed=0)) is None


@pytest.mark.parametrize("name", shipped.names())
def test_every_shipped_plan_is_sound_and_its_published_rows_are_rows_of_it(name):
    planned = shipped.load(name)  # which knows every model and setting, or refuses
    rows = {line.name for line in plan.lines(planned)}
    for dataset in published.datasets():
        known = {number.row for number in published.numbers(planned.published, dataset=dataset)}
        assert known <= rows | {"best other"}
        assert {number.setting for number in published.numbers(planned.published, dataset=dataset)} <= set(planned.settings)
    assert planned.seeds >= 3


def test_the_tables_and_figures_of_the_publication_are_shipped():
    assert shipped.names() == ["table2", "table3", "table4", "figure1", "figure3", "figure4", "figure5", "figure6"]
    with pytest.raises(UnknownName, match="Did you mean 'table2'"):
        shipped.load("tabel2")


def test_a_shipped_plan_is_cut_down_to_models_settings_seeds_and_budget():
    cut = shipped.load("table2", seeds=1, settings=["mtmt"], models=["milk", "DUIF", "popularity"], trials=3, changes={"max_epochs": 2})
    assert ([row.name for row in cut.row], cut.settings, cut.seeds, cut.search.trials) == (
        ["MILK", "MILK (not searched)", "DUIF", "popularity (floor)"],
        ["mtmt"],
        1,
        3,
    )
    assert cut.changes == {"max_epochs": 2}
    without = shipped.load("table2", models=["milk"], trials=0)
    assert all(line.search is None for line in plan.lines(without))
    assert without.note == "The floors are not in the publication. No settings were searched."
    with pytest.raises(UnknownName, match="no setting of table2 named 'ftft'"):
        shipped.load("table2", settings=["ftft"])
    with pytest.raises(UnknownName, match="no model of table3 named 'duif'"):
        shipped.load("table3", models=["duif"])
    with pytest.raises(BadValue, match="it needs both"):
        shipped.load("figure5", settings=["ftmt"])


def test_a_setting_that_some_rows_have_no_use_for_is_refused_in_one_sentence():
    with pytest.raises(
        BadValue, match=r"--set beta is not for DUIF, MICRO, .*, random order \(floor\): leave them out with `--models milk`, or"
    ) as caught:
        shipped.load("table2", changes={"beta": 10})
    assert str(caught.value).count("beta") == 1
    assert len(str(caught.value)) < 400
    assert shipped.load("table2", models=["milk"], changes={"beta": 10}).changes == {"beta": 10}


@pytest.mark.parametrize(
    ("name", "models", "changes", "words"),
    [
        ("table2", [], {"betta": 1}, "--set betta: there is no such setting"),
        ("table2", [], {"lam": -1}, "--set lam: Input should be greater than or equal to 0"),
        ("table2", ["duif", "micro"], {"lam": 1}, "--set lam: no row has a use for it"),
        ("table2", [], {"backbone": "bpr-mf"}, "`--models dropoutnet,heater,gar,gorec`"),
        ("table2", [], {"imputation": "token"}, "leave them out with `--models milk`"),
        ("table4", [], {"environments": "fixed"}, "--set environments: every row sets it itself"),
        ("table4", [], {"seed": 3, "betta": 1}, "not by set; --set betta: there is no such setting"),
    ],
)
def test_a_setting_for_all_rows_of_a_shipped_plan_that_cannot_be_is_told_once(name, models, changes, words):
    with pytest.raises(BadValue, match="cannot be done with these settings") as caught:
        shipped.load(name, models=models, changes=changes)
    assert str(caught.value).count(words) == 1


def test_a_setting_of_a_user_takes_the_place_of_what_the_plan_says_of_a_dataset():
    for changes, expected in (({}, 1000.0), ({"beta": 10}, 10.0)):
        planned = shipped.load("table4", changes=changes)
        found = chosen.settings_of(planned, plan.lines(planned)[0], dataset="Baby", seed=0)
        assert (found.beta, found.lam) == (expected, 0.05)


def test_published_numbers_are_those_of_the_publication():
    def value(table, dataset, setting, row, metric):
        return next(
            each.value for each in published.numbers(table, dataset=dataset) if (each.setting, each.row, each.metric) == (setting, row, metric)
        )

    assert value("table2", "Clothing", "mtmt", "MILK", "ndcg@20") == 0.0329
    assert value("table2", "TikTok", "ftmt", "best other", "recall@10") == 0.1814
    assert value("table2", "Baby", "mtmt", "GoRec", "recall@20") == 0.0473
    assert value("table3", "Clothing", "ftmt", "learned map", "recall@20") == 0.0619
    assert value("table4", "Baby", "ftmt", "without e = 0", "ndcg@20") == 0.0179
    assert value("figure5", "Baby", "ftmt", "alignment only", "loss of ndcg@20") == 32.06
    assert published.numbers("table4", dataset="TikTok") == []
    assert published.numbers(None, dataset="Baby") == published.numbers("table2", dataset=None) == []
