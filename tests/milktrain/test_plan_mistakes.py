"""Mistakes in plans: all of them are told at once, each once, and none that only follows from another."""

from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milktrain.experiments import cells, entries, mistakes, reading
from schemas.errors import BadValue, DataError, UnknownName

PLAN = {
    "title": "Two rows",
    "settings": ["ftft", "ftmt", "half"],
    "metrics": ["recall@20", "ndcg@10"],
    "loss": {"before": "ftft", "after": "ftmt"},
    "picture": {"metrics": ["recall@20"]},
    "search": {"trials": 2},
    "scenarios": {"half": [0.5, 0.5]},
    "datasets": {"Baby": {"milk": {"beta": 1000}}},
    "set": {"max_epochs": 3},
    "row": [{"name": "MILK", "set": {"lam": 1.0}}, {"name": "DUIF", "model": "duif", "search": False}],
}
#: Where something else is written, and what is said of it; none is about an entry that another of them is above of.
WRONG = [
    (("title",), 3, "title: write a text (got 3)"),
    (("titel",), "x", "titel: a plan has no such entry"),
    (("seeds",), 0, "seeds: Input should be greater than or equal to 1 (got 0)"),
    (("settings", 3), "FTXX", "settings: 'FTXX' is none of ftft, ftmt, mtft, mtmt, half"),
    (("scenarios", "half"), [0.5], "scenarios: the shares of 'half' sum to 0.5, not to 1, or are below 0"),
    (("metrics", 2), "ndgc@10", "metrics: ndgc@10 is none of recall, ndcg, hr, hit, precision, map, mrr, each with @K"),
    (("metrics", 3), "recall@7", "metrics: recall@7 is not measured, the cut-offs are 10, 20: set cutoffs"),
    (("metrics", 4), "recall20", "metrics.4: write it as recall@20 (got 'recall20')"),
    (("published",), "table9", "published: 'table9' is none of table2, table3, table4, figure5"),
    (("preset",), "papper", "preset: There is no preset named 'papper'. Did you mean 'paper'? Known: default, paper, published"),
    (("search", "trials"), "x", "search.trials: write a whole number (got 'x')"),
    (("search", "splits"), [1, 1], "search: search.splits names a split twice"),
    (("search", "space"), {"alhpa": {"low": 1, "high": 2}}, "alhpa: there is no such setting"),
    (("set", "betta"), 1, "set: betta: there is no such setting"),
    (("set", "beta"), 1, "set: beta: no use for it in DUIF"),
    (("set", "dim"), {"a": 1}, "set.dim: write a number, a text, true or false, or a list of whole numbers (got {'a': 1})"),
    (("datasets", "Bayb"), {}, "datasets: 'Bayb' is none of Baby, Clothing, TikTok, so no store is of it"),
    (("datasets", "Baby", "milc"), {}, "datasets.Baby: there is no model 'milc'"),
    (("datasets", "Baby", "heater"), {"bakcbone": 1}, "datasets.Baby.heater: bakcbone: there is no such setting"),
    (("row", 0, "colour"), "red", "row 'MILK': colour: a plan has no such entry"),
    (("row", 0, "set", "seed"), 3, "row 'MILK': seed is said by the plan's seeds, not by set"),
    (("row", 0, "set", "gamma"), 3, "row 'MILK': gamma: there is no such setting"),
    (("row", 0, "set", "stop_metric"), "rcall@20", "row 'MILK': stop_metric: rcall@20 is none of recall, ndcg, hr"),
    (("row", 1, "set"), {"beta": 1}, "row 'DUIF': beta: duif has no use for it"),
    (("row", 1, "preset"), "publisht", "row 'DUIF': There is no preset named 'publisht'. Did you mean 'published'?"),
    (("row", 2), {"name": "MILK"}, "row 'MILK': the name is given twice"),
    (("row", 3), {"name": "new", "model": "milc"}, "row 'new': There is no model named 'milc'. Did you mean 'milk'?"),
    (("row", 4), {"model": "popularity"}, "row 5: name: it is missing"),
    (("row", 5), "MILK", "row 6: write it as a table"),
]


def _with(chosen):
    """The plan with these of the mistakes; what is appended keeps its order."""
    tables = deepcopy(PLAN)
    for number in sorted(chosen):
        (*above, name), value, _ = WRONG[number]
        table = tables
        for key in above:
            table = table.setdefault(key, {}) if isinstance(table, dict) else table[key]
        if isinstance(table, list):
            table += [value]
        else:
            table[name] = deepcopy(value)
    return tables


def _told(tables):
    found = entries.sound(tables)
    return list(dict.fromkeys((*found.wrong, *mistakes.of(found))))


@pytest.mark.parametrize(("place", "value", "words"), WRONG, ids=[".".join(map(str, place)) for place, _, _ in WRONG])
def test_one_mistake_is_told_once_and_nothing_follows_from_it(place, value, words):
    tables = deepcopy(PLAN)
    *above, name = place
    table = tables
    for key in above:
        table = table[key]
    if isinstance(table, list):
        words = words.replace(f"{place[0]}.{name}", f"{place[0]}.{len(table)}").replace(f"row {int(name) + 1}:", f"row {len(table) + 1}:")
        table.append(value)
    else:
        table[name] = value
    (told,) = _told(tables)
    assert words in told


def test_all_mistakes_are_told_at_once():
    told = _told(_with(range(len(WRONG))))
    for _, _, words in WRONG:
        assert sum(words in each for each in told) == 1, words
    assert len(told) == len(WRONG)


@settings(deadline=None, max_examples=30)
@given(st.sets(st.integers(min_value=0, max_value=len(WRONG) - 1), max_size=8))
def test_so_many_mistakes_are_told_as_are_made(chosen):
    assert len(_told(_with(chosen))) == len(chosen)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": 3},
        {"settings": ["ftft", 3]},
        {"metrics": 3, "set": {"cutoffs": [5, 10]}},
        {"metrics": ["ndcg@10", 3]},
        {"scenarios": 3},
        {"scenarios": {"half": 3}},
        {"set": {"cutoffs": [7, "x"]}, "metrics": ["recall@7"], "picture": {}},
        {"set": 3, "metrics": ["recall@7"], "picture": {}},
        {"search": 3},
        {"loss": {"before": "ftmt"}},
        {"loss": 3},
        {"datasets": 3},
        {"row": []},
        {"row": 3},
        {"row": {"name": "MILK"}},
        {"row": [{"name": "MILK", "model": 3, "set": {"own": 1}}]},
        {"row": [{"name": "MILK", "search": 3}]},
        {"row": [{"name": "MILK", "search": {"splits": [1]}}]},
        {"row": [{"name": "MILK", "set": 3}]},
        {"row": [{"name": "MILK", "vary": {"alpha": []}}]},
    ],
    ids=str,
)
def test_nothing_is_concluded_from_an_entry_of_the_wrong_kind(change):
    assert len(_told(PLAN | change)) == 1


def test_a_wrong_setting_of_a_row_that_varies_others_is_told_once_and_a_wrong_value_is_named():
    row = {"name": "grid", "set": {"gamma": 1}, "vary": {"alpha": [1.0, -1.0, 2.0]}}
    assert _told(PLAN | {"row": [row]}) == [
        "row 'grid': gamma: there is no such setting",
        "row 'grid': alpha: Input should be greater than 0 (got -1.0)",
    ]


def test_a_setting_without_use_beside_another_is_told_where_it_is_written():
    row = {"name": "CCFCRec", "model": "ccfcrec", "set": {"ranked": "users"}, "search": False}
    (told,) = _told(PLAN | {"row": [*PLAN["row"], row | {"set": row["set"] | {"negatives": "train"}}]})
    assert told == "row 'CCFCRec': negatives: ccfcrec has no use for it with ranked users"
    (told,) = _told(PLAN | {"set": {"negatives": "train"}, "row": [*PLAN["row"], row]})
    assert told == "set: negatives: no use for it in CCFCRec, write it in the other rows"


def test_a_search_that_looks_at_what_is_not_measured_is_told_before_anything_is_trained():
    (told,) = _told(PLAN | {"set": {"cutoffs": [20]}, "metrics": ["recall@20"]})
    assert told == "search: it looks at ndcg@10, and the cut-offs are 20: set stop_metric or cutoffs (in MILK)"


def test_a_scenario_in_which_an_item_would_lose_every_modality_is_told():
    (told,) = _told(PLAN | {"scenarios": {"half": [0.25] * 4}})
    assert "an item keeps one of 3 modalities" in told


def test_a_scenario_that_could_not_name_a_split_is_told():
    (told,) = _told(PLAN | {"scenarios": {"half": [1.0], "a+b": [1.0]}})
    assert told.startswith("scenarios.a+b: small letters, digits, '_', '-' and '.' can name a scenario")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"picture": {"kind": "loss"}, "loss": None}, "write loss = { before"),
        ({"picture": {"kind": "lines"}}, "no row varies any"),
        ({"picture": {"kind": "lines"}, "row": [{"name": "a", "vary": {"environments": ["cyclic", "fixed"]}}]}, "no row varies any"),
    ],
)
def test_a_picture_that_would_show_nothing_is_told(change, words):
    tables = {name: value for name, value in (PLAN | change).items() if value is not None}
    (told,) = _told(tables)
    assert words in told


def test_the_plan_in_the_documentation_is_sound():
    text = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")
    planned = reading.parse(text.partition("```toml\n")[2].partition("```")[0], told="docs")
    assert [row.name for row in planned.row] == ["MILK", "MILK, standardised", "DUIF", "alpha"]


def test_stores_and_datasets_are_told_with_the_plan(tmp_path):
    def beside(named):
        return cells.wrong_beside(named, stores=[Path("nowhere.duckdb")], datasets=["Bbay"])

    with pytest.raises(BadValue, match="no plan to carry out") as caught:
        reading.checked(PLAN | {"titel": 1}, told="plan.toml", beside=beside)
    for words in ("titel:", "Did you mean 'Baby'", "There is no store at nowhere.duckdb"):
        assert str(caught.value).count(words) == 1
    with pytest.raises(BadValue, match=r"stores: write a list .*There is no store at nowhere.duckdb"):
        reading.checked(PLAN | {"stores": "tiktok.duckdb"}, told="plan.toml", beside=beside)


@pytest.mark.parametrize(
    ("stores", "datasets", "error"), [([], [], BadValue), (["nowhere.duckdb"], [], DataError), ([__file__], ["Bbay"], UnknownName)]
)
def test_what_is_wrong_beside_a_sound_plan_is_an_error_of_its_own(stores, datasets, error):
    with pytest.raises(error) as caught:
        reading.checked(
            PLAN, told="plan.toml", beside=lambda named: cells.wrong_beside(named, stores=[Path(each) for each in stores], datasets=datasets)
        )
    assert "plan.toml" not in str(caught.value)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({}, "loss.before: it is missing; loss.after: it is missing"),
        ({"befor": "ftft", "aftr": "ftmt"}, "loss.befor: a plan has no such entry; loss.aftr: a plan has no such entry"),
        ({"before": 1, "after": 2}, r"loss.before: write a text \(got 1\); loss.after: write a text \(got 2\)"),
    ],
)
def test_a_loss_of_which_nothing_is_right_is_told(loss, words):
    with pytest.raises(BadValue, match=words):
        reading.checked(PLAN | {"loss": loss}, told="plan.toml")
