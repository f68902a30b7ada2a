"""What an experiment is: rows of models and settings, each trained on the same splits with the same seeds.

A plan is TOML; docs/experiments.md says what may stand in it. It is strict: whatever is wrong with it is told before anything is
trained, all of it at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

Value = bool | int | float | str
A_SETTING = "write a number, a text, true or false, or a list of whole numbers"


def _one_kind(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """One complaint about a value of another kind than settings have, rather than one a kind."""
    try:
        return check(value)
    except ValidationError as error:
        raise ValueError(A_SETTING) from error


Settings = dict[str, Annotated[Value | list[int], WrapValidator(_one_kind)]]
Varied = Annotated[list[Annotated[Value, WrapValidator(_one_kind)]], Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=80)]
KEY, METRIC = r"^[a-z0-9][a-z0-9_.-]{0,60}$", r"^[a-z_]+@[1-9][0-9]{0,5}$"
Key = Annotated[str, Field(pattern=KEY)]  # a scenario's name becomes part of the names of splits
Metric = Annotated[str, Field(pattern=METRIC)]


class _Strict(BaseModel):
    """What all tables of a plan have in common."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=True)


class Search(_Strict):
    """A search of settings on validation, within a stated budget."""

    trials: Count = Field(description="settings that are tried, the first of them those that the row starts from")
    splits: list[Annotated[int, Field(ge=0)]] = Field(default=[0], min_length=1, description="numbers of the splits whose mean decides")
    each_setting: bool = Field(default=True, description="search in each setting; else in the first, and use what was found in all")
    space: dict[str, Any] = Field(default={}, description="what is varied, as docs/sweeps.md says; the model's own space when empty")
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="of the search")


def _kind_of_search(given: object) -> str:
    return "switch" if isinstance(given, bool) else "table"


OwnSearch = Annotated[Annotated[Search, Tag("table")] | Annotated[bool, Tag("switch")], Discriminator(_kind_of_search)]


class Row(_Strict):
    """One row of the table: a model and its settings."""

    name: Name = Field(description="as the table calls it")
    model: str = Field(default="milk", description="name of a file in milktrain/models")
    preset: str | None = Field(default=None, description="settings it starts from; the plan's when not given")
    changes: Settings = Field(default={}, alias="set", description="settings laid over the preset")
    vary: dict[str, Varied] = Field(default={}, description="settings varied one at a time: a row each value")
    search: OwnSearch = Field(default=True, description="in place of the plan's search; false: what the row sets is what it is")
    in_paper: bool = Field(default=True, description="whether the publication has such a row")


class Loss(_Strict):
    """What is lost from one setting to another, relative to the first."""

    before: str
    after: str


class Picture(_Strict):
    """How results are drawn."""

    kind: Literal["bars", "lines", "groups", "loss"] = "bars"
    metrics: list[Metric] = Field(default=[], description="which of the plan's metrics; all of them when not given")


class Plan(_Strict):
    """An experiment."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    published: str | None = Field(default=None, description="table of milktrain/experiments/paper.toml whose numbers stand beside ours")
    note: str = Field(default="", description="what a reader of the results should know")
    stores: list[str] = Field(default=[], description="store files; --store adds to them")
    settings: list[str] = Field(min_length=1, description="ftft, ftmt, mtft, mtmt, or a name in scenarios; repeat r is split <setting>-<r>")
    scenarios: dict[Key, list[float]] = Field(default={}, description="shares of new items that lose 0, 1, ... modalities, by name")
    seeds: Count = Field(default=3, description="repeats; repeat r is trained with seed r")
    metrics: list[Metric] = Field(default=["recall@20", "ndcg@20"], min_length=1, description="shown and drawn; runs hold all")
    part: Literal["val", "test"] = "test"
    preset: str = Field(default="default", description="what all rows start from")
    modalities: list[Literal["visual", "text", "audio"]] | None = Field(default=None, description="which to use; all with vectors when not given")
    changes: Settings = Field(default={}, alias="set", description="settings laid over the preset in all rows")
    search: Search | None = Field(default=None, description="for all rows that say nothing else")
    datasets: dict[str, dict[str, Settings]] = Field(default={}, description="settings by dataset and model, below what rows set")
    loss: Loss | None = Field(default=None, description="show what is lost between two settings")
    picture: Picture = Field(default=Picture())
    row: list[Row] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One row as it is trained; of a row that varies settings, one value of one of them.

    Args:
        name: as the table calls it.
        row: it is of.
        changes: what the row sets, the varied value included.
        varied: name and value, where something is varied.
        search: its search; None where nothing is searched.
    """

    name: str
    row: Row
    changes: Mapping[str, Value | list[int]]
    varied: tuple[str, Value] | None
    search: Search | None


def lines(plan: Plan) -> list[Line]:
    """All rows of the table, in order."""
    return [line for row in plan.row for line in lines_of(plan, row)]


def lines_of(plan: Plan, row: Row) -> list[Line]:
    """Those of one row, in order."""
    search = plan.search if row.search is True else row.search or None
    if not row.vary:
        return [Line(row.name, row, row.changes, None, search)]
    return [
        Line(f"{row.name}, {name} {value}", row, row.changes | {name: value}, (name, value), search)
        for name, values in row.vary.items()
        for value in values
    ]


def searches(plan: Plan, line: Line) -> dict[str, list[str]]:
    """For each setting, names of the splits whose mean decides what the line is trained with there; empty where nothing is searched."""
    if line.search is None:
        return {}
    where = {setting: setting if line.search.each_setting else plan.settings[0] for setting in plan.settings}
    return {setting: [f"{where[setting]}-{number}" for number in line.search.splits] for setting in plan.settings}
