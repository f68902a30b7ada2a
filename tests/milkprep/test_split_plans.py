"""What may be asked of a split, and what comes of it, on stores whose content is known."""

import json
from datetime import datetime

import planted
import polars as pl
import pytest

from milkprep import splits
from milkprep.splitting import grammar, plan
from milkprep.splitting.parts import Order
from milkprep.splitting.plan import Missing
from schemas.contracts import Modality, Part, Setting
from schemas.errors import BadValue, DataError
from schemas.store import Store


@pytest.fixture
def path(tmp_path):
    return planted.fill(tmp_path / "planted.duckdb")


def ask(path, sql, **values):
    with Store(path, mode="read") as store:
        return store.query(sql, **values)


def levels(path, part):
    """How many items of a part lose 0, 1, 2 modalities."""
    counted = ask(
        path,
        "SELECT count(*) FILTER (WHERE lost) AS n FROM split_availability JOIN split_items USING (split_id, item_idx) WHERE part = $part "
        "GROUP BY item_idx",
        part=part,
    )
    return [int((counted["n"] == level).sum()) for level in range(3)]


def timed(path):
    """Interactions in the order of item ids: item 0 was first touched in 2000, item i i years later, up to 2119."""
    with Store(path, mode="write") as store:
        store.run('UPDATE interactions SET "timestamp" = make_timestamp(2000 + item_idx, 1, 1, 0, 0, 0)')


def test_the_scenario_of_figure_3_is_exact_in_number(path):
    report = splits.build(path, seed=0, cold_fraction=1 / 3, scenario=(0.1, 0.45, 0.45))
    assert report.setting is Setting.FTMT
    assert report.name == "ftmt-scenario-0"
    assert [levels(path, part) for part in ("val", "test")] == [[2, 9, 9], [2, 9, 9]]  # of 20 each
    assert levels(path, "train") == [80, 0, 0]
    told = report.losses.filter(pl.col("part") == "test")
    assert told["modalities lost"].to_list() == [0, 1, 2]
    assert told["items"].to_list() == [2, 9, 9]
    assert told["share %"].to_list() == [10, 45, 45]
    assert report.notes == ()
    parameters = json.loads(ask(path, "SELECT parameters FROM splits").item())
    assert parameters == {"cold_fraction": 1 / 3, "scenario": {"complete": 0.1, "one": 0.45, "two": 0.45}}


def test_items_with_too_few_modalities_by_nature_are_counted_and_told(path):
    with Store(path, mode="write") as store:
        store.run("DELETE FROM feature_rows WHERE feature_set_id = 1 AND item_idx < 110")  # ten items have three
    report = splits.build(path, seed=0, scenario=(0, 0, 1))
    assert sum(note.startswith(("val", "test")) for note in report.notes) == len(report.notes)
    for part in ("val", "test"):
        none, one, two = levels(path, part)
        three = ask(
            path,
            "SELECT count(*) AS n FROM (SELECT item_idx FROM split_availability JOIN split_items USING (item_idx) WHERE part = $part "
            "GROUP BY item_idx HAVING bool_and(present))",
            part=part,
        ).item()
        assert (none, one, two) == (0, 12 - three, three)
        assert f"{part}: {two} items lose two, not 12: too few have enough by nature." in report.notes


def test_a_training_loss_may_stand_beside_a_scenario(path):
    report = splits.build(path, setting=Setting.MTMT, seed=0, scenario=(0, 1), train_loss=0.25)
    assert report.name == "mtmt-scenario-0"
    assert levels(path, "train") == [72, 24, 0]
    assert levels(path, "test") == [0, 12, 0]


def test_each_modality_of_each_part_loses_its_own_share(path):
    losses = grammar.parse_losses(["train:audio=.25", "new:visual=.5,text=1", "test:audio=0"])
    report = splits.build(path, seed=0, losses=losses)
    assert report.name == "mtmt-loss-0"
    counted = ask(
        path,
        "SELECT part, modality, count(*) AS n FROM split_availability JOIN split_items USING (split_id, item_idx) WHERE lost "
        "GROUP BY ALL ORDER BY ALL",
    )
    assert counted.rows() == [("test", "text", 12), ("test", "visual", 6), ("train", "audio", 24), ("val", "text", 12), ("val", "visual", 6)]
    assert json.loads(ask(path, "SELECT parameters FROM splits").item())["loss"]["train"] == {"audio": 0.25}


def test_shares_that_would_leave_an_item_nothing_are_refused_and_nothing_is_stored(path):
    with pytest.raises(DataError, match="an item keeps one"):
        splits.build(path, seed=0, losses={Part.TEST: dict.fromkeys(Modality, 0.9)})
    assert ask(path, "SELECT * FROM splits").height == 0


def test_all_splits_of_one_seed_share_their_parts(path):
    splits.build(path, setting=Setting.FTFT, seed=4)
    splits.build(path, seed=4, scenario=(0.5, 0.5))
    splits.build(path, seed=4, losses={Part.TRAIN: {Modality.TEXT: 0.5}})
    splits.build(path, setting=Setting.FTMT, seed=4, which=Missing.POPULAR)
    parts = [frame.sort("item_idx")["part"] for frame in ask(path, "SELECT * FROM split_items").partition_by("split_id")]
    assert len(parts) == 4
    assert all(part.equals(parts[0]) for part in parts)


@pytest.mark.parametrize("arguments", [{"scenario": (0.2, 0.8)}, {"losses": {Part.TEST: {Modality.TEXT: 0.5}}}], ids=["scenario", "loss"])
@pytest.mark.parametrize("which", list(Missing))
def test_another_machine_draws_the_same(path, tmp_path, arguments, which):
    other = planted.fill(tmp_path / "other.duckdb")
    first, second = (splits.build(each, seed=3, which=which, **arguments) for each in (path, other))
    assert first.fingerprint == second.fingerprint
    assert not splits.build(path, seed=3, which=which, **arguments).changed


def test_the_items_seen_last_are_new_and_the_newest_half_of_them_is_for_test(path):
    timed(path)
    report = splits.build(path, setting=Setting.FTMT, seed=0, order=Order.FIRST_SEEN)
    assert report.name == "ftmt-first-seen-0"
    items = ask(path, "SELECT * FROM split_items ORDER BY item_idx")
    assert items["part"].to_list() == ["train"] * 96 + ["val"] * 12 + ["test"] * 12
    again = splits.build(path, setting=Setting.FTFT, seed=1, order=Order.FIRST_SEEN)
    assert ask(path, "SELECT part FROM split_items WHERE split_id = 2 ORDER BY item_idx")["part"].equals(items["part"])
    assert again.fingerprint != report.fingerprint


def test_of_items_first_seen_at_the_same_time_the_later_key_is_newer(path):
    splits.build(path, setting=Setting.FTFT, seed=0, order=Order.FIRST_SEEN)  # all at one time
    newest = ask(path, "SELECT item_key FROM split_items JOIN items USING (item_idx) WHERE part = 'test'")["item_key"].to_list()
    assert sorted(newest) == sorted(f"i{i}" for i in range(120))[-12:]


def test_without_times_the_order_of_first_interactions_is_refused(path):
    with Store(path, mode="write") as store:
        store.run('UPDATE interactions SET "timestamp" = NULL WHERE item_idx = 5')
    n = ask(path, "SELECT count(*) FROM interactions WHERE item_idx = 5").item()
    with pytest.raises(DataError, match=f"^{n} of 900 interactions have no time"):
        splits.build(path, setting=Setting.FTFT, seed=0, order=Order.FIRST_SEEN)


def test_popular_items_lose_more_often_where_that_is_asked(path):
    with Store(path, mode="write") as store:  # items 0 to 59 have one interaction, the others ten
        store.run("DELETE FROM interactions")
        pairs = [(u, i) for i in range(120) for u in range(10 if i >= 60 else 1)]
        frame = pl.DataFrame(pairs, schema={"user_idx": pl.Int32, "item_idx": pl.Int32}, orient="row")
        store.append("interactions", frame.with_columns(timestamp=pl.lit(datetime(2020, 1, 1))))
    for which in Missing:
        splits.build(path, setting=Setting.MTMT, seed=0, which=which, train_loss=0.5)
    sql = (
        "SELECT count(*) FILTER (WHERE item_idx >= 60) / count(*) FROM split_availability JOIN splits USING (split_id) "
        "WHERE lost AND coalesce(parameters ->> 'missing', 'random') = $which"
    )
    shares = {which: ask(path, sql, which=which.value).item() for which in Missing}
    assert shares[Missing.UNPOPULAR] < 0.45 < shares[Missing.RANDOM] < 0.57 < shares[Missing.POPULAR]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "Say what is lost with --setting"),
        ({"setting": Setting.FTFT, "scenario": (0, 1)}, "which setting ftft does not"),
        ({"setting": Setting.FTMT, "losses": {Part.TEST: {Modality.TEXT: 0.5}}}, "Leave --setting and --scenario out"),
        ({"scenario": (0.5, 0.4)}, "sum to 0.9"),
        ({"scenario": ()}, "sum to 0"),
        ({"scenario": (0, 0, 0, 1)}, "two is the most it can lose"),
        ({"losses": {Part.TEST: {Modality.TEXT: 1.5}}}, "--loss test:text 1.5"),
        ({"losses": {Part.TEST: {Modality.TEXT: float("nan")}}}, "--loss test:text nan"),
        ({"setting": Setting.FTFT, "which": Missing.POPULAR}, "nothing is lost in setting ftft"),
    ],
)
def test_what_cannot_be_meant_is_refused(path, arguments, says):
    with pytest.raises(BadValue, match=says):
        splits.build(path, seed=0, **arguments)


def test_a_modality_without_vectors_cannot_be_lost(tmp_path):
    path = planted.fill(tmp_path / "two.duckdb", modalities=(Modality.VISUAL, Modality.TEXT))
    with pytest.raises(BadValue, match="names audio, of which the store has no vectors"):
        splits.build(path, seed=0, losses={Part.TEST: {Modality.AUDIO: 0.5}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("complete", "'' is no number"),
        ("four=1", "is none of complete, one, two, three"),
        ("one=.5,one=.5", "names one twice"),
        ("one=nan", "between 0 and 1"),
        ("one=-1,two=2", "between 0 and 1"),
        ("one=.5", "sum to 0.5"),
        ("", "is none of"),
    ],
)
def test_a_scenario_that_cannot_be_read_says_how_to_write_one(text, says):
    with pytest.raises(BadValue, match=says):
        grammar.parse_scenario(text)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["visual=.3"], "names no part"),
        (["cold:visual=.3"], "names no part"),
        (["test:smell=.3"], "is none of visual, text, audio"),
        (["new:text=.3", "test:text=.4"], "says twice what test loses of text"),
        (["test:text=2"], "between 0 and 1"),
    ],
)
def test_a_loss_that_cannot_be_read_says_how_to_write_one(texts, says):
    with pytest.raises(BadValue, match=says):
        grammar.parse_losses(texts)


def test_the_words_of_parts_and_their_groups_mean_what_they_say():
    assert list(grammar.parse_losses(["all:text=.1"])) == list(Part)
    assert list(grammar.parse_losses(["new:text=.1"])) == list(plan.HELD_OUT)


def test_no_interaction_of_a_new_item_is_in_training_however_the_split_was_made(path):
    timed(path)
    splits.build(path, setting=Setting.FTMT, seed=0, order=Order.FIRST_SEEN)
    splits.build(path, seed=0, scenario=(0.2, 0.4, 0.4))
    with Store(path, mode="read") as store:
        assert all(frame.is_empty() for frame in store.violations().values())
        counted = store.query(
            "SELECT split_id, count(*) AS n, count(DISTINCT item_idx) AS items FROM interactions JOIN split_items USING (item_idx) GROUP BY ALL"
        )
    assert counted["n"].to_list() == [900, 900]
    assert counted["items"].to_list() == [120, 120]
