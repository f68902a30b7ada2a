"""Lists that are chance say so: all scores the same, or the last one shared with items that are not listed."""

import json

import planted
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import cli
from milkprep import splits
from milktrain import config, recipe
from milktrain.using import commands, recommending, ties, trained
from milktrain.using.among import Among
from schemas.contracts import Part, Setting
from schemas.reporting import Silent


@pytest.fixture(scope="module")
def popular(tmp_path_factory):
    """A run of popularity, of which new items have none."""
    path = planted.fill(tmp_path_factory.mktemp("ties") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    settings = config.load(model="popularity")
    done = recipe.train(path, split="ftmt-0", config=settings, runs_folder=path.parent / "runs", reporter=Silent(), model="popularity")
    return trained.open_run(done.folder)


def _ask(run, *given):
    result = CliRunner().invoke(cli.app, ["recommend", "--run", str(run.folder), "--user", "u3", *given], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.stderr
    return result


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 12))
def test_a_list_is_arbitrary_where_its_last_score_is_had_by_more_than_it_lists_or_by_all(scores, k):
    best = sorted(scores, reverse=True)[:k]
    n, listed = scores.count(best[-1]), best.count(best[-1])
    arbitrary = n > listed or (len(scores) > 1 and len(set(scores)) == 1)
    assert ties.at_the_cut(torch.tensor(scores), torch.tensor(best)) == (n if arbitrary else 0)


def test_new_items_by_popularity_are_said_to_be_in_no_order_and_what_to_do_instead(popular):
    n = len(popular.data().new_items)
    said = _ask(popular, "-k", "5").stderr
    assert f"All {n} items have the same score: the run cannot tell one from another, so this order is chance." in said
    assert "Name a run of a model that knows content, as milk, or ask with --among all." in said
    assert json.loads(_ask(popular, "--json").stdout)["n_tied"] == n


def test_one_item_is_an_item():
    class Heard(list):
        say = list.append

    heard = Heard()
    for n in (0, 1, 2):
        commands._say_without(heard, n)
    assert heard == [
        "1 item has no modality that the run uses: nothing is known of it, so it is left out.",
        "2 items have no modality that the run uses: nothing is known of them, so they are left out.",
    ]


def test_where_the_last_score_is_shared_it_is_said_how_long_a_list_has_them_all(popular):
    data = popular.data()
    had = data.pairs[Part.TRAIN][data.pairs[Part.TRAIN][:, 0] == 3, 1]
    counts = torch.bincount(data.pairs[Part.TRAIN][:, 1], minlength=data.n_items)
    counts[had] = -1
    ranked = counts.sort(descending=True).values.tolist()
    k = next(k for k in range(2, 50) if ranked[k - 1] == ranked[k] != ranked[0])
    n, longer = ranked.count(ranked[k - 1]), max(at + 1 for at, each in enumerate(ranked) if each == ranked[k - 1])
    assert f"{n} items share the last score of the list" in _ask(popular, "--among", "all", "-k", str(k)).stderr
    assert f"-k {longer} lists them all" in _ask(popular, "--among", "all", "-k", str(k)).stderr
    assert "share the last score" not in _ask(popular, "--among", "all", "-k", str(longer)).stderr
    assert recommending.recommend(popular, "u3", k=longer, among=Among.ALL).n_tied == 0
