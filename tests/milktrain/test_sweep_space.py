"""A space of settings, as a file says it: what is taken, and every mistake told at once."""

import re
from pathlib import Path

import pytest

from milktrain import config
from milktrain.sweeping import space
from schemas.errors import BadValue

BASE = config.load()


def _load(folder, text, *, base=BASE):
    file = folder / "space.toml"
    file.write_text(text)
    return space.load(file, base=base)


@pytest.mark.parametrize("preset", config.presets())
def test_the_default_space_holds_what_each_preset_starts_from(preset):
    base = config.load(preset)
    found = space.load(None, base=base).of(base.model_dump())
    assert found["beta"] == base.beta
    assert found["imputation"] == "mean"
    assert "neighbours" not in found  # it means nothing beside the mean


def test_ranges_and_choices_are_values_of_their_settings(tmp_path):
    found = _load(
        tmp_path, "[beta]\nlow = 1\nhigh = 10\nlog = true\n[dim]\nlow = 8\nhigh = 64\n[unbiased]\nchoices = [true, false]\n[lam]\nchoices = [0, 1]"
    )
    beta, dim, unbiased, lam = found.dimensions
    assert (beta.low, beta.high, beta.log, beta.whole) == (1.0, 10.0, True, False)
    assert (dim.low, dim.high, dim.log, dim.whole) == (8, 64, False, True)
    assert unbiased.choices == (True, False)
    assert [type(choice) for choice in lam.choices] == [float, float]


def test_a_setting_that_depends_on_another_comes_after_it_and_only_with_the_named_values(tmp_path):
    found = _load(
        tmp_path,
        '[neighbours]\nlow = 1\nhigh = 9\nonly_with = { imputation = ["nearest"] }\n[imputation]\nchoices = ["nearest", "mean"]',
    )
    assert [each.name for each in found.dimensions] == ["imputation", "neighbours"]
    assert found.of(BASE.model_dump() | {"imputation": "nearest", "neighbours": 9}) == {"imputation": "nearest", "neighbours": 9}
    assert found.of(BASE.model_dump() | {"imputation": "mean", "neighbours": 9}) == {"imputation": "mean"}


def test_settings_outside_of_the_space_are_not_of_it(tmp_path):
    found = _load(tmp_path, "[beta]\nlow = 1\nhigh = 10")
    assert found.of({"beta": 10.0}) == {"beta": 10.0}
    assert found.of({"beta": 10.1}) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[betta]\nlow = 1\nhigh = 2", "betta: there is no such setting"),
        ("[seed]\nlow = 0\nhigh = 9", "seed cannot be varied: the seed that does best on validation is luck"),
        ("[stop_metric]\nchoices = ['ndcg@10', 'hr@10']", "which --metric names"),
        ("beta = 3", r"beta: write a table, \[beta\]"),
        ("[beta]\nlow = 1", "beta: give low and high, or choices"),
        ("[beta]\nlow = 2\nhigh = 1", "beta: low 2 is not below high 1"),
        ("[beta]\nlow = 0\nhigh = 1\nlog = true", "beta: a range with log begins above 0"),
        ("[beta]\nlow = -1\nhigh = 1", "beta: Input should be greater than or equal to 0"),
        ("[beta]\nlow = 1\nhigh = inf", "beta: Input should be a finite number"),
        ("[beta]\nlow = '1'\nhigh = 2", "beta.low: "),
        ("[beta]\nlow = 1\nhigh = 2\nstep = 1", "beta.step: Extra inputs are not permitted"),
        ("[beta]\nchoices = [1, 1]", "beta: choices are two values or more, each once"),
        ("[beta]\nchoices = [1, 2]\nlow = 1", "beta: choices stand alone"),
        ("[dim]\nlow = 8\nhigh = 16.5", "dim: low and high are whole numbers here"),
        ("[imputation]\nchoices = ['mean', 'median']", "imputation: Input should be"),
        ("[imputation]\nlow = 1\nhigh = 2", "imputation: Input should be"),
        ("[neighbours]\nlow = 1\nhigh = 9\nonly_with = { imputation = ['nearest'] }", "only_with names imputation, which is not varied here"),
        (
            "[imputation]\nchoices = ['mean', 'zero']\n[neighbours]\nlow = 1\nhigh = 9\nonly_with = { imputation = ['nearest'] }",
            "not among its choices",
        ),
        ("", "it names no setting"),
        ("[beta", "cannot be read as TOML"),
    ],
)
def test_a_mistake_in_a_space_is_told_in_words(tmp_path, text, words):
    with pytest.raises(BadValue, match=words):
        _load(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(BadValue, match=r"betta: .*; beta: low 2 is not below high 1; dim: .*docs/sweeps\.md"):
        _load(tmp_path, "[betta]\nlow = 1\nhigh = 2\n[beta]\nlow = 2\nhigh = 1\n[dim]\nlow = 0\nhigh = 5")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadValue, match=r"nowhere\.toml cannot be read"):
        space.load(tmp_path / "nowhere.toml", base=BASE)


def test_the_space_of_the_page_can_be_searched(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
    found = _load(tmp_path, re.search(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1])
    assert [each.name for each in found.dimensions] == ["learning_rate", "dim", "imputation", "neighbours"]


NEGATIVES = '[negatives]\nchoices = ["all", "train"]'
RANKED = '[ranked]\nchoices = ["users", "items"]'


@pytest.mark.parametrize(
    ("ranked", "text"),
    [
        ("users", NEGATIVES),
        ("items", f"{NEGATIVES}\n{RANKED}"),
        ("items", f'{NEGATIVES}\nonly_with = {{ ranked = ["users", "items"] }}\n{RANKED}'),
    ],
)
def test_what_a_model_has_no_use_for_beside_another_setting_is_not_varied_there(tmp_path, ranked, text):
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(BadValue, match="negatives: ccfcrec has no use for it with ranked users"):
        space.load(file, base=config.load(model="ccfcrec", changes={"ranked": ranked}), model="ccfcrec")


@pytest.mark.parametrize(("ranked", "text"), [("items", NEGATIVES), ("users", f'{NEGATIVES}\nonly_with = {{ ranked = ["items"] }}\n{RANKED}')])
def test_it_is_varied_where_it_is_of_use(tmp_path, ranked, text):
    file = tmp_path / "space.toml"
    file.write_text(text)
    found = space.load(file, base=config.load(model="ccfcrec", changes={"ranked": ranked}), model="ccfcrec")
    assert "negatives" in [each.name for each in found.dimensions]
