"""What is wrong with a plan whose entries are of the right kind: names that nobody knows, values out of range, entries that contradict each other.

Nothing is concluded from an entry that was left out for being of the wrong kind. What is wrong in several rows for one reason is told once.
"""

from collections.abc import Iterator, Sequence

from milktrain import config, metrics, model_settings
from milktrain.config import TrainConfig
from milktrain.experiments import chosen, published
from milktrain.experiments.entries import Sound
from milktrain.experiments.plan import Line, Plan, Row, lines_of
from milktrain.sweeping.settings_file import flat
from schemas import plugins
from schemas.contracts import Modality, Setting
from schemas.errors import MilkError

#: A scenario's shares may miss 1 by as much as decimal fractions do.
NEARLY = 1e-9
#: What a model is looked at with where its preset is none.
ANY_PRESET = "default"
#: Where a problem lies: in the row itself, or in an entry for all rows.
OWN = ""
Problem = tuple[str, str]
#: Ends what is said of a setting for all rows that not every model has a use for.
IDLE = " has no use here"


def of(found: Sound) -> Iterator[str]:
    """What is wrong, in words, each once.

    Args:
        found: a plan with what was left out of it.
    """
    if found.plan is None:
        return
    plan = found.plan
    yield from _of_settings(found, plan)
    yield from _of_scenarios(plan)
    yield from _of_metrics(found, plan)
    if plan.published is not None and plan.published not in published.names():
        yield f"published: {plan.published!r} is none of {', '.join(published.names())}"
    yield from _of_picture(found, plan)
    yield from _of_datasets(plan)
    yield from _of_rows(found, plan)


def _a_preset(name: str) -> str:
    """The preset, or another where there is none of that name."""
    return name if name in config.presets() else ANY_PRESET


def _of_settings(found: Sound, plan: Plan) -> Iterator[str]:
    left_out = [str(place[1]) for place in found.left_out if place[0] == "scenarios" and len(place) > 1]
    known = [*Setting, *plan.scenarios, *left_out]
    used = [*plan.settings, *((plan.loss.before, plan.loss.after) if plan.loss else ())]
    if ("scenarios",) not in found.left_out:
        yield from (f"settings: {name!r} is none of {', '.join(known)}" for name in dict.fromkeys(used) if name not in known)
    yield from (f"settings: {name!r} is given twice" for name in dict.fromkeys(plan.settings) if plan.settings.count(name) > 1)
    if plan.loss and not found.lacks("settings"):
        lost = dict.fromkeys((plan.loss.before, plan.loss.after))
        yield from (f"loss: {name!r} is not among the settings" for name in lost if name not in plan.settings)


def _of_scenarios(plan: Plan) -> Iterator[str]:
    for name, shares in plan.scenarios.items():
        if name in list(Setting):
            yield f"scenarios: {name!r} is a setting of its own, give another name"
        if not shares or min(shares) < 0 or abs(sum(shares) - 1) > NEARLY:
            yield f"scenarios: the shares of {name!r} sum to {sum(shares):g}, not to 1, or are below 0"
        elif len(shares) > len(Modality):
            yield f"scenarios: {name!r} has {len(shares)} shares, but an item keeps one of {len(Modality)} modalities: none loses so many"


def _of_metrics(found: Sound, plan: Plan) -> Iterator[str]:
    measured = list(metrics.METRICS)
    for metric in dict.fromkeys((*plan.metrics, *plan.picture.metrics)):
        if metric.partition("@")[0] not in measured:
            yield f"metrics: {metric} is none of {', '.join(measured)}, each with @K"
    if not found.lacks("metrics"):
        yield from (f"picture: {metric} is not among the plan's metrics" for metric in plan.picture.metrics if metric not in plan.metrics)


def _of_picture(found: Sound, plan: Plan) -> Iterator[str]:
    """Kinds that would draw nothing."""
    if plan.picture.kind == "loss" and plan.loss is None and not found.lacks("loss"):
        yield "picture: kind 'loss' draws what is lost between two settings: write loss = { before = ..., after = ... }"
    varied = [value for row in plan.row for values in row.vary.values() for value in values]
    if plan.picture.kind == "lines" and not found.lacks("row") and not any(isinstance(value, int | float) for value in varied):
        yield "picture: kind 'lines' draws numbers that rows vary, and no row varies any"


def _of_datasets(plan: Plan) -> Iterator[str]:
    known = plugins.names(model_settings.MODELS)
    for dataset, by_model in plan.datasets.items():
        if dataset not in published.datasets():
            yield f"datasets: {dataset!r} is none of {', '.join(published.datasets())}, so no store is of it"
        for model, settings in by_model.items():
            if model not in known:
                yield f"datasets.{dataset}: there is no model {model!r}"
                continue
            wrong = chosen.wrong_with(settings, model=model, preset=_a_preset(plan.preset))
            yield from (f"datasets.{dataset}.{model}: {words}" for words in wrong.values())


def _of_rows(found: Sound, plan: Plan) -> Iterator[str]:
    """What is wrong with rows; what is wrong in several of them for one reason is of the plan, and told once."""
    names = [line.name for row in plan.row for line in lines_of(plan, row)]
    yield from (f"row {name!r}: the name is given twice" for name in dict.fromkeys(names) if names.count(name) > 1)
    yield from (f"preset: {words}" for words in _unknown(plan.preset, config.presets(), what="preset"))
    of_all, own, n_known = dict[Problem, list[str]](), dict[str, None](), 0
    known = plugins.names(model_settings.MODELS)
    for place, named, row in zip(found.rows, found.named, plan.row, strict=False):  # without the stand-in for all of them
        n_known += row.model in known and not found.lacks("row", place, "model")
        for where, words in dict.fromkeys(_of_row(found, plan, row, place)):
            if where == OWN:
                own[f"{named}: {words}"] = None
            else:
                of_all.setdefault((where, words), []).append(row.name)
    yield from (_of_several(*problem, rows=rows, are_all=len(rows) == n_known) for problem, rows in of_all.items())
    yield from own


def _of_several(where: str, words: str, *, rows: list[str], are_all: bool) -> str:
    others = ", ".join(dict.fromkeys(rows))
    if words.endswith(IDLE):
        name = words.removesuffix(IDLE)
        return f"{where}: {name}: no row has a use for it" if are_all else f"{where}: {name}: no use for it in {others}, write it in the other rows"
    return f"{where}: {words}" if are_all else f"{where}: {words} (in {others})"


def _of_row(found: Sound, plan: Plan, row: Row, place: int) -> Iterator[Problem]:
    """Where it lies, and what is wrong."""
    yield from ((OWN, words) for words in _unknown(row.preset or ANY_PRESET, config.presets(), what="preset"))
    if found.lacks("row", place, "model"):
        return
    model = row.model
    if unknown := list(_unknown(model, plugins.names(model_settings.MODELS), what="model")):
        yield from ((OWN, words) for words in unknown)
        return
    preset = _a_preset(row.preset or plan.preset)
    for line in lines_of(plan, row):
        given = {**plan.changes, **line.changes}
        idle = model_settings.idle(model, given)
        own = chosen.wrong_with(line.changes, model=model, preset=preset, beside=given)
        yield from ((OWN, words) for words in own.values())
        inherited = {name: value for name, value in plan.changes.items() if name not in line.changes or name in own}
        of_all = chosen.wrong_with(inherited, model=model, preset=preset, beside=given)
        yield from (("set", f"{name}{IDLE}" if name in idle else words) for name, words in of_all.items())
        wrong = own | of_all
        sound = {name: value for name, value in given.items() if name not in wrong}
        base = config.checked(flat(config.load(preset, model=model)) | sound, model=model)
        sure = "cutoffs" not in wrong and not _lacks_cutoffs(found, place)
        yield from _of_search(line, base=base, sure="stop_metric" not in wrong and sure)
        if sure and ("metrics",) not in found.left_out:
            yield from _of_cutoffs(plan, line, base=base)


def _of_search(line: Line, *, base: TrainConfig, sure: bool) -> Iterator[Problem]:
    if line.search is None:
        return
    where = "search" if line.row.search is True else OWN
    if len(set(line.search.splits)) < len(line.search.splits):
        yield where, "search.splits names a split twice"
    try:
        space = chosen.space_of(line, base=base)
    except MilkError as error:
        yield where, str(error).removesuffix(".")
        return
    if sure and space is not None and _cutoff(base.stop_metric) not in base.cutoffs:
        yield where, f"it looks at {base.stop_metric}, and the cut-offs are {_listed(base.cutoffs)}: set stop_metric or cutoffs"


def _of_cutoffs(plan: Plan, line: Line, *, base: TrainConfig) -> Iterator[Problem]:
    """Metrics that are not measured, with the settings of each dataset and without."""
    of_datasets = [by_model.get(line.row.model, {}).get("cutoffs") for by_model in plan.datasets.values()]
    for cutoffs in (base.cutoffs, *(each for each in of_datasets if isinstance(each, list) and "cutoffs" not in line.changes)):
        for metric in plan.metrics:
            if _cutoff(metric) not in cutoffs:
                yield "metrics", f"{metric} is not measured, the cut-offs are {_listed(cutoffs)}: set cutoffs"


def _listed(cutoffs: Sequence[int]) -> str:
    return ", ".join(map(str, cutoffs))


def _cutoff(metric: str) -> int:
    return int(metric.partition("@")[2])


def _lacks_cutoffs(found: Sound, place: int) -> bool:
    """Whether something was left out that may have said which cut-offs there are."""
    of_row = found.lacks("row", place, "preset") or ("row", place, "set") in found.left_out or found.lacks("row", place, "set", "cutoffs")
    of_all = found.lacks("preset") or ("set",) in found.left_out or found.lacks("set", "cutoffs")
    return of_row or of_all or any(each[0] == "datasets" and (len(each) < 4 or each[3] == "cutoffs") for each in found.left_out)


def _unknown(name: str, known: list[str], *, what: str) -> Iterator[str]:
    try:
        plugins.check_known(name, known, what=what)
    except MilkError as error:
        yield str(error).removesuffix(".")
