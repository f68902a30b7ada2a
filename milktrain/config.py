"""The settings of a training run: strict, frozen, complete; every problem reported at once; no file is read here but presets.

A run is described by a preset, what the model's publication uses instead, the changes a user makes to it, and nothing else. Settings that
one model alone knows lie in its own file, see `model_settings`; here they travel by name.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from milktrain import model_settings
from milktrain.model_settings import MILK, Value
from schemas.errors import BadValue
from schemas.plugins import check_known

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Width = Annotated[int, Field(ge=1, le=65_536)]

EnvironmentStrategy = Literal["cyclic", "without_uniform", "independent", "fixed"]
Switch = Literal["nothing", "alignment", "invariance", "both"]
Preprocessing = Literal["none", "row_l2", "standardise", "standardise_row_l2", "pca", "pca_row_l2"]
#: Each is a file in `milktrain/imputation`.
Imputation = Literal["zero", "mean", "learned_map", "nearest", "token", "average_present"]


class TrainConfig(BaseModel):
    """Everything that shapes a run besides the data."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    preset: str = Field(description="name of the preset these settings started from")
    dim: Width = Field(description="width of the shared space")
    alpha: Positive = Field(description="concentration of the Dirichlet draw; small: one modality dominates an environment")
    environments: EnvironmentStrategy = Field(description="how the weightings of a step are drawn")
    without: Switch = Field(description="which of the two modules is left out: alignment, invariance, both, or nothing")
    beta: NotNegative = Field(description="weight of the variance over environments; at 0 the environments' losses remain, see `without`")
    lam: NotNegative = Field(description="weight of the alignment; 0 switches it off")
    reg: NotNegative = Field(description="weight of the regularisation")
    reduction: Literal["sum", "mean"] = Field(description="how the environments' losses become one")
    unbiased: bool = Field(description="whether the variance divides by the number of environments less one")
    alignment: Literal["mean_square", "squared_norm"] = Field(
        description="distance of two modalities: its mean over the width, or its squared length"
    )
    regularisation: Literal["batch", "parameters"] = Field(description="what is regularised: the batch's embeddings or all parameters")
    preprocessing: Preprocessing = Field(description="how features are scaled, before and after missing ones are filled")
    pca_width: Width = Field(description="axes that `pca` and `pca_row_l2` keep of each modality, at most")
    imputation: Imputation = Field(description="what stands in for a missing modality")
    neighbours: Count = Field(description="training items whose mean stands in with imputation `nearest`")
    ridge: Positive = Field(description="strength of the penalty of imputation `learned_map`, relative to the mean variance of a column")
    negatives: Literal["all", "train"] = Field(description="where negatives are drawn from: all items (a leak) or training items")
    batch_size: Count = Field(description="triples a step")
    learning_rate: Positive = Field(description="of the optimizer")
    optimizer: Literal["adam", "sparse_adam"] = Field(description="whom a step moves: all users, or those of the batch alone (for very many)")
    precision: Literal["float32", "bfloat16"] = Field(description="of the forward pass; bfloat16 on a GPU only")
    max_epochs: Count = Field(description="passes over the training interactions at most")
    evaluate_every: Count = Field(description="epochs between looks at validation")
    patience: Count = Field(description="epochs without a better stop metric on validation after which training stops")
    stop_metric: Annotated[str, Field(pattern=r"^[a-z_]+@[1-9][0-9]{0,5}$")] = Field(description="what decides on validation which state is best")
    cutoffs: tuple[Count, ...] = Field(min_length=1, description="list lengths K that metrics are reported at")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(description="of initial weights, order, negatives and environments")
    of_model: dict[str, Value] = Field(default={}, description="settings of a model other than milk that it alone knows, complete")


def presets() -> list[str]:
    """Names of the shipped presets."""
    files = resources.files("milktrain.presets").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load(preset: str = "default", *, model: str = MILK, file: Path | None = None, changes: Mapping[str, str] | None = None) -> TrainConfig:
    """A preset with a file's and a user's changes laid over it, in that order.

    Args:
        preset: name of a shipped preset.
        model: what is trained; what its publication uses is laid over the preset before anything else.
        file: TOML file of settings.
        changes: settings as typed, `{"beta": "1000"}`; each is read as a TOML value, or as plain text where it is none.

    Raises:
        UnknownName: if there is no such preset or model.
        BadValue: listing every setting that is unknown or out of range.

    Example:
        >>> load("published", changes={"beta": "1000"}).beta
        1000.0
    """
    check_known(preset, presets(), what="preset")
    text = resources.files("milktrain.presets").joinpath(f"{preset}.toml").read_text(encoding="utf-8")
    mine = (_from_file(file) if file else {}) | {name: _typed(value) for name, value in (changes or {}).items()}
    if "preset" in mine:
        raise BadValue("preset is no setting to change: name the preset to start from with --preset.")
    idle = sorted(set(mine) & model_settings.idle(model, mine))
    only = {name: f" with {other} {value}" for name, (other, value) in model_settings.idle_with(model).items()}
    wrong = [f"{name}: {model} has no use for it{only.get(name, '')}" for name in idle]
    if "of_model" in mine:  # where settings lie that a model alone knows; people say them by their own names
        wrong.append("of_model: there is no such setting")
    used = {name: mine[name] for name in mine if name not in idle and name != "of_model"}
    whole = tomllib.loads(text) | {"preset": preset} | model_settings.usual(model) | used
    _refuse(wrong + problems(whole, model=model), model)
    return _built(whole, model)


def checked(settings: Mapping[str, object], *, model: str = MILK) -> TrainConfig:
    """Settings by name as a configuration; those that the model alone knows may stand beside the others.

    Raises:
        BadValue: listing every setting that is unknown, absent or out of range.
    """
    _refuse(problems(settings, model=model), model)
    return _built(settings, model)


def _built(settings: Mapping[str, object], model: str) -> TrainConfig:
    return TrainConfig(**_fitted(_own_apart(settings, model)))


def _refuse(wrong: list[str], model: str) -> None:
    if wrong:
        where = "docs/method.md and docs/training.md have them all" if model == MILK else f"`python cli.py models {model}` shows what it has"
        raise BadValue(f"The settings cannot be used: {'; '.join(wrong)}. {where}.")


def problems(settings: Mapping[str, object], *, model: str = MILK) -> list[str]:
    """What is wrong with settings, each in words; nothing where they can be used."""
    apart = _own_apart(settings, model)
    found: list[str] = []
    for kind, given in ((model_settings.of(model), dict(apart["of_model"])), (TrainConfig, _fitted(apart))):  # type: ignore[call-overload] # it is a dictionary
        try:
            kind(**given)
        except ValidationError as error:
            found += [_in_words(each["type"], ".".join(map(str, each["loc"])), each["msg"], each.get("input")) for each in error.errors()]
    if model != MILK and settings.get("imputation") in model_settings.OWN_STANDINS:
        found.append(f"imputation: {settings['imputation']} is part of milk, and {model} takes features as they come")
    return found


def shaping(config: TrainConfig, *, model: str) -> TrainConfig:
    """Settings as far as they shape a run: those that make no difference to a model that learns nothing are as its preset has them.

    So what differs in them alone is one run, not several that are the same.

    Args:
        config: the settings.
        model: whose run.
    """
    idle = [name for name in TrainConfig.model_fields if not model_settings.shapes(name, model=model)]
    if not idle:
        return config
    plain = load(config.preset, model=model)
    return config.model_copy(update={name: getattr(plain, name) for name in idle})


def value(config: TrainConfig, name: str) -> object:
    """A setting by name, whether all models have it or one."""
    return config.of_model[name] if name in config.of_model else getattr(config, name)


def _own_apart(settings: Mapping[str, object], model: str) -> dict[str, object]:
    """Settings with those that the model alone knows in a table of their own, which is complete where nothing is wrong with it."""
    own, names = model_settings.of(model), set(model_settings.of(model).model_fields)
    given = settings.get("of_model", {})
    assert isinstance(given, Mapping)
    mine = dict(given) | {name: each for name, each in settings.items() if name in names}
    try:
        mine = own(**model_settings.fitted(own, mine)).model_dump()
    except ValidationError:
        mine = model_settings.fitted(own, mine)
    return {name: each for name, each in settings.items() if name not in names} | {"of_model": mine}


def _fitted(settings: Mapping[str, object]) -> dict[str, Any]:
    fitted = model_settings.fitted(TrainConfig, settings)
    if isinstance(cutoffs := fitted.get("cutoffs"), list):
        fitted["cutoffs"] = tuple(cutoffs)
    return fitted


def _in_words(kind: str, name: str, message: str, given: object) -> str:
    return f"{name}: there is no such setting" if kind == "extra_forbidden" else f"{name}: {message} (got {given!r})"


def _from_file(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadValue(f"{file} cannot be read as TOML settings: {error}. See milktrain/presets/ for examples.") from error


def _typed(value: str) -> object:
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
