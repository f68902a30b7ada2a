"""What `models NAME` says of settings: those of the model alone first, then those all share, each with a range that holds."""

import json
import re

import pytest
from typer.testing import CliRunner

import cli
from milktrain import config, listing, model_settings
from milktrain.model_settings import MODELS
from schemas import plugins
from schemas.errors import BadValue

NAMES = plugins.names(MODELS)


def _ask(*given, columns="80"):
    result = CliRunner().invoke(cli.app, ["models", *given], env={"COLUMNS": columns})
    assert result.exit_code == 0, result.stderr
    return result


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_all_share_are_told_apart_and_none_that_the_model_makes_nothing_of(name):
    told = listing.settings(name)
    own = [each.name for each in told if each.own]
    assert set(own) == set(model_settings.of(name).model_fields) | (model_settings.OF_MILK if name == "milk" else set())
    assert [each.own for each in told] == sorted((each.own for each in told), reverse=True)
    shared = {each.name for each in told if not each.own}
    assert shared <= set(config.TrainConfig.model_fields) - {"preset", "of_model"}
    assert not shared & model_settings.idle(name)
    assert {"seed", "cutoffs"} <= shared
    assert ("learning_rate" in shared) == (name not in model_settings.FLOORS)
    assert all(each.meaning and each.range for each in told)


#: A number's range, and the end of it that is taken or is not.
NUMBERS = re.compile(r"(whole, )?(above )?([0-9]+)")


@pytest.mark.parametrize("name", NAMES)
def test_a_number_below_its_range_is_refused_and_every_choice_is_taken(name):
    for each in listing.settings(name):
        if found := NUMBERS.match(each.range):
            whole, above, low = found.groups()
            below = int(low) if above else int(low) - 1
            with pytest.raises(BadValue, match=each.name):
                config.load(model=name, changes={each.name: str(below if whole else float(below))})
        elif isinstance(each.value, str) and each.value in each.range and each.name != "negatives":  # which ccfcrec takes with another setting alone
            for choice in each.range.split(", "):
                assert config.value(config.load(model=name, changes={each.name: f'"{choice}"'}), each.name) == choice


def test_a_terminal_has_two_tables_own_first_with_names_in_one_piece():
    lines = _ask("gorec").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    first, second = (
        next(at for at, line in enumerate(lines) if line.startswith(words)) for words in ("settings of gorec alone", "settings that all")
    )
    rows = {line.split()[0]: at for at, line in enumerate(lines) if line.startswith("  ") and line.strip()}
    assert first < rows["uniformity_weight"] < second < rows["learning_rate"]
    assert "settings of popularity alone" not in _ask("popularity").stdout
    assert "popularity has no settings that it alone knows." in _ask("popularity").stderr


def test_what_a_search_varies_and_what_a_publication_sets_are_said():
    said = _ask("gorec").stderr
    assert "As its publication has them, whatever the preset: batch_size, learning_rate." in said
    assert "What `sweep --model gorec` varies when nothing is said: backbone" in said
    assert "What `sweep --model milk` varies when nothing is said: alpha" in _ask("milk").stderr


def test_json_keeps_both_apart_beside_all_of_them():
    found = json.loads(_ask("clcrec", "--json").stdout)
    assert found["settings"] == found["own"] + found["common"]
    assert {each["name"] for each in found["own"]} == set(model_settings.of("clcrec").model_fields)
    (batch,) = [each for each in found["common"] if each["name"] == "batch_size"]
    assert (batch["value"], batch["range"], batch["published"]) == (256, "whole, 1 or more", True)
