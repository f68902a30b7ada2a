"""Settings: presets, changes, and what is refused."""

import pytest

from milktrain import config, model_settings
from schemas.errors import BadValue, UnknownName


def test_the_default_is_the_published_objective_without_its_leak():
    published, default = (config.load(name).model_dump() for name in ("published", "default"))
    assert {name for name in published if published[name] != default[name]} == {"preset", "negatives"}
    assert (published["negatives"], default["negatives"]) == ("all", "train")


@pytest.mark.parametrize("name", config.presets())
def test_every_preset_is_complete_and_names_itself(name):
    assert config.load(name).preset == name


def test_changes_lie_over_the_file_and_the_file_over_the_preset(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("beta = 7\ndim = 32\n")
    found = config.load("paper", file=file, changes={"dim": "16"})
    assert (found.beta, found.dim, found.reduction) == (7.0, 16, "mean")


def test_all_problems_are_reported_at_once():
    with pytest.raises(BadValue) as caught:
        config.load(changes={"dim": "0", "alpha": "-1", "colour": "red", "negatives": "none"})
    for name in ("dim", "alpha", "colour", "negatives"):
        assert name in str(caught.value)


@pytest.mark.parametrize("value", ["nan", "inf", "true", '"50"'])
def test_beta_must_be_a_finite_number(value):
    with pytest.raises(BadValue, match="beta"):
        config.load(changes={"beta": value})


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'published'"):
        config.load("publshed")


def test_a_file_that_is_no_toml_is_named(tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text("beta = = 3")
    with pytest.raises(BadValue, match=r"broken.toml cannot be read as TOML"):
        config.load(file=file)


def test_a_run_cannot_be_labelled_with_a_preset_it_does_not_use():
    with pytest.raises(BadValue, match="name the preset to start from with --preset"):
        config.load(changes={"preset": "paper"})


@pytest.mark.parametrize("value", ["[]", "[0]", "10"])
def test_cutoffs_are_one_or_more_lengths(value):
    with pytest.raises(BadValue, match="cutoffs"):
        config.load(changes={"cutoffs": value})


def test_a_models_own_settings_are_complete_and_its_publications_choices_lie_over_the_preset(tmp_path):
    found = config.load("default", model="clcrec")
    assert set(found.of_model) == set(model_settings.of("clcrec").model_fields)
    assert found.learning_rate == model_settings.usual("clcrec").get("learning_rate", 1e-3)
    first = next(iter(found.of_model))
    assert config.value(found, first) == found.of_model[first]
    assert config.value(found, "dim") == 64


def test_a_models_own_settings_are_changed_by_name_whole_numbers_standing_for_floats():
    found = config.load(model="clcrec", changes={"temperature": "1"})
    assert found.of_model["temperature"] == 1.0
    assert isinstance(found.of_model["temperature"], float)
    again = config.checked(found.model_dump() | {"temperature": 0.5}, model="clcrec")
    assert again.of_model == found.of_model | {"temperature": 0.5}


def test_problems_with_a_models_own_settings_are_told_with_the_others():
    with pytest.raises(BadValue) as caught:
        config.load(model="clcrec", changes={"temperature": "-1", "dim": "0", "colour": "red"})
    for name in ("temperature", "dim", "colour"):
        assert name in str(caught.value)


def test_a_models_own_settings_are_none_of_another_model():
    with pytest.raises(BadValue, match="temperature: there is no such setting"):
        config.load(model="duif", changes={"temperature": "1"})


def test_the_place_of_the_settings_of_a_model_is_no_setting_itself():
    with pytest.raises(BadValue, match=r"of_model: there is no such setting; beta: "):
        config.load(changes={"of_model": "3", "beta": "-1"})
