"""Settings that one model alone knows: declared in the model's own file, found by the model's name.

A model's file may have

    class Settings(ModelSettings)   each field with a default, a range and a description; no name that `TrainConfig` has
    IDLE: frozenset                 names of settings that all models share and this one has no use for; they are refused when named
    IDLE_WITH: dict                 such names that are without use with one value of a setting of the model's own: {name: (setting, value)}
    STEP: str                       what `batch_size` counts, where a step does not take interactions with a negative each
    USUAL: dict                     what the publication uses for settings that all models share, laid over every preset
    SPACE: dict                     what a search varies when nobody says what, as `sweeping.space` reads it from TOML

and needs none of them. No file is read here.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas import plugins

MODELS = "milktrain.models"
MILK = "milk"
Value = bool | int | float | str

#: Common settings that only milk has a use for; named for another model they are refused.
OF_MILK = frozenset({"alpha", "environments", "without", "beta", "lam", "reduction", "unbiased", "alignment", "regularisation"})
#: Settings of what models are given as content.
OF_CONTENT = frozenset({"preprocessing", "pca_width", "imputation", "neighbours", "ridge"})
#: Models that learn nothing of users, and the common settings that shape them; of the others they accept any, and are the same whatever it is.
#: They stand here and not in the models' files because lists of runs ask for them, and must not load torch for it.
FLOORS: Mapping[str, frozenset[str]] = {
    "content-knn": OF_CONTENT,
    "content-popularity": OF_CONTENT,
    "popularity": frozenset(),
    "random-order": frozenset(),
}
#: What a step takes where a model's file does not say otherwise.
INTERACTIONS = "training interactions, each with a negative"
#: What says how a run is named, repeated and judged, whatever its model.
OF_EVERY_RUN = frozenset({"preset", "seed", "cutoffs", "of_model"})
#: Ways to do without a modality that are part of milk, not of what it is given.
OWN_STANDINS = frozenset({"token", "average_present"})


class ModelSettings(BaseModel):
    """What the settings of a model have in common: strict, frozen, and every one has a default."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class CollaborativeSettings(ModelSettings):
    """Settings of a model that starts from collaborative vectors; which they are is part of the run."""

    backbone: Literal["bpr-mf", "lightgcn"] = Field(default="bpr-mf", description="what the collaborative vectors are learned by")
    backbone_width: Annotated[int, Field(ge=1, le=65_536)] = Field(default=200, description="their width")


def of(model: str) -> type[ModelSettings]:
    """The settings of a model by its name.

    Raises:
        UnknownName: if there is no such model.
    """
    found = getattr(plugins.load(MODELS, model), "Settings", ModelSettings)
    assert issubclass(found, ModelSettings), f"Settings of {model} are none"
    return found


def idle(model: str, settings: Mapping[str, object] | None = None) -> frozenset[str]:
    """Settings that a model has no use for: those of milk alone, and what its own file says.

    Args:
        model: by its name.
        settings: of the model's own, as far as they are said, by name; None looks at what is without use whatever they are.
    """
    own: frozenset[str] = getattr(plugins.load(MODELS, model), "IDLE", frozenset())
    if settings is not None:
        usual = of(model)().model_dump()
        own |= {name for name, (other, value) in idle_with(model).items() if settings.get(other, usual[other]) == value}
    return own if model == MILK else own | OF_MILK


def idle_with(model: str) -> dict[str, tuple[str, Value]]:
    """Common settings that a model has no use for with one value of a setting of its own: of each that setting, and the value."""
    return dict(getattr(plugins.load(MODELS, model), "IDLE_WITH", {}))


def step(model: str) -> str | None:
    """What `batch_size` counts: what a step of a model's training takes; None for one that learns nothing."""
    return None if model in FLOORS else getattr(plugins.load(MODELS, model), "STEP", INTERACTIONS)


def shapes(name: str, *, model: str) -> bool:
    """Whether a setting that all models share shapes the runs of one; of a model that learns nothing most do not.

    Args:
        name: of the setting.
        model: as a record says; it need not be known here.

    Example:
        >>> shapes("learning_rate", model="popularity"), shapes("learning_rate", model="milk")
        (False, True)
    """
    return model not in FLOORS or name in FLOORS[model] | OF_EVERY_RUN


def told(model: str, config: Mapping[str, object]) -> dict[str, object]:
    """Settings of a run's record as people ask for them: a model's own beside the others, and none that it is the same without.

    Args:
        model: as the record says; it need not be known here.
        config: what the record says of settings.
    """
    own = config.get("of_model")
    apart = {"of_model"} | (set() if model == MILK else OF_MILK)
    common = {name: value for name, value in config.items() if name not in apart and shapes(name, model=model)}
    return common | (dict(own) if isinstance(own, Mapping) else {})


def usual(model: str) -> dict[str, Value]:
    """What the model's publication uses instead of the presets."""
    return dict(getattr(plugins.load(MODELS, model), "USUAL", {}))


def space(model: str) -> dict[str, dict[str, Any]] | None:
    """What a search of the model's settings varies when nobody says what; None where its file has nothing of it."""
    found = getattr(plugins.load(MODELS, model), "SPACE", None)
    return None if found is None else dict(found)


def fitted(kind: type[BaseModel], settings: Mapping[str, object]) -> dict[str, Any]:
    """Settings with whole numbers as floats where floats are meant: 50 is a fine way to write 50.0."""
    found = dict(settings)
    for name, field in kind.model_fields.items():
        given = found.get(name)
        if "float" in str(field.annotation) and name != "of_model" and isinstance(given, int) and not isinstance(given, bool):
            found[name] = float(given)
    return found
