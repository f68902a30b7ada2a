"""Training, top to bottom: read a split, impute, train, judge, record.

This is the file to read first; every step is one call into a module of the same name.
"""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn

from milktrain import bundle, checkpoint, content, runs, sampling
from milktrain.bundle import Bundle
from milktrain.config import TrainConfig
from milktrain.evaluation import PROTOCOL, Evaluation, evaluate
from milktrain.loop import Fit, Generators, Validation, fit
from milktrain.recommender import Content, Scorer, Task
from schemas import __version__, fingerprint, plugins
from schemas.contracts import Modality, Part
from schemas.reporting import Reporter

MODELS = "milktrain.models"
JUDGED = (Part.VAL, Part.TEST)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Args:
        run_id: name of its folder.
        folder: where it lies.
        replaced: whether the same run was there before.
        manifest: what `run.json` holds.
    """

    run_id: str
    folder: Path
    replaced: bool
    manifest: dict[str, object]


def train(
    store_path: Path, *, split: str, config: TrainConfig, runs_folder: Path, reporter: Reporter, model: str = "milk",
    modalities: Sequence[Modality] | None = None,
) -> Run:  # fmt: skip
    """Train and judge one model on one split, and write its run folder.

    Args:
        store_path: the store; open only while the split is read.
        split: name of a split in it.
        config: the settings.
        runs_folder: gets a folder `<split>-<model>-<preset>-<fingerprint>`; the same run again replaces it.
        reporter: is told the epochs.
        model: name of a file in `milktrain/models`.
        modalities: which to use; None takes all that have vectors.

    Raises:
        MilkError: see `bundle.read`, `loop.fit`.
    """
    started = time.perf_counter()
    plugins.check_known(model, plugins.names(MODELS), what="model")
    data = bundle.read(store_path, split=split, modalities=modalities)
    generators = Generators.seeded(config.seed)
    task = Task(content_of(data, config), data.n_users, data.pairs[Part.TRAIN])
    scorer: Scorer = plugins.load(MODELS, model).build(task, config, generator=generators.weights)
    how = _fit(scorer, data, config=config, generators=generators, reporter=reporter) if isinstance(scorer, nn.Module) else None
    judged = {part: evaluate(scorer, pairs=data.pairs[part], candidates=data.new_items, cutoffs=config.cutoffs) for part in JUDGED}
    manifest = _manifest(data, model=model, config=config, how=how, judged=judged, seconds=time.perf_counter() - started)
    manifest["store"] = store_path.name
    folder = runs_folder / str(manifest["run_id"])
    replaced = folder.exists()
    with runs.writing(folder) as partial:
        for part, evaluation in judged.items():
            evaluation.per_user.write_parquet(partial / f"users_{part}.parquet")
        runs.write_log(how.log if how else [], partial / "log.jsonl")
        if isinstance(scorer, nn.Module):
            checkpoint.save(scorer, partial / "model.safetensors")
        runs.write_json(manifest, partial / runs.MANIFEST)
    return Run(folder.name, folder, replaced, manifest)


def content_of(data: Bundle, config: TrainConfig) -> Content:
    """What models may know of the items: features scaled and holes filled as the settings say, fitted on training items alone.

    Works in the memory of the bundle's own features, so that wide ones are there once; read the bundle again for what they were.
    """
    return content.prepare(data.features, data.available, is_train=data.is_train, modalities=data.modalities, config=config)


def negative_candidates(data: Bundle, config: TrainConfig) -> torch.Tensor:
    """(C,) item ids that negatives are drawn from: training items, or all items of the split as the authors' code does."""
    if config.negatives == "train":
        return data.items[Part.TRAIN]
    return torch.cat(list(data.items.values())).sort().values


def _has_negative(data: Bundle, config: TrainConfig) -> torch.Tensor:
    return sampling.can_have_negative(data.pairs[Part.TRAIN], candidates=negative_candidates(data, config), n_items=data.n_items)


def _fit(scorer: nn.Module, data: Bundle, *, config: TrainConfig, generators: Generators, reporter: Reporter) -> Fit:
    # A user who has every candidate can have no negative: such interactions are counted in the manifest.
    usable = data.pairs[Part.TRAIN][_has_negative(data, config)]
    sampler = sampling.negatives(usable, candidates=negative_candidates(data, config), n_items=data.n_items)
    validation = Validation(data.pairs[Part.VAL], data.new_items)
    return fit(scorer, train=usable, sampler=sampler, validation=validation, config=config, generators=generators, reporter=reporter)  # type: ignore[arg-type] # plugins are typed by protocol


def _manifest(data: Bundle, *, model: str, config: TrainConfig, how: Fit | None, judged: dict[Part, Evaluation], seconds: float) -> dict[str, object]:
    sets = {
        each.modality.value: {
            "encoder": each.identity.encoder,
            "weights": each.identity.weights,
            "fingerprint": each.fingerprint,
            "contents": contents,
        }
        for each, contents in zip(data.feature_sets, data.contents, strict=True)
    }
    whole = fingerprint.of_value([model, config.model_dump(mode="json"), data.split.fingerprint, sets, PROTOCOL, __version__])
    return {
        "run_id": f"{data.split.name}-{model}-{config.preset}-{whole[:8]}",
        "fingerprint": whole,
        "model": model,
        "preset": config.preset,
        "config": config.model_dump(mode="json"),
        "split": data.split.name,
        "setting": data.split.setting.value,
        "split_seed": data.split.seed,
        "split_fingerprint": data.split.fingerprint,
        "seed": config.seed,
        "modalities": ",".join(data.modalities),
        "feature_sets": sets,
        "epochs": how.epochs if how else 0,
        "best_epoch": how.best_epoch if how else 0,
        "seconds_per_epoch": how.seconds_per_epoch if how else 0.0,
        "seconds": seconds,
        "n_train": len(data.pairs[Part.TRAIN]),
        "n_train_without_negative": int((~_has_negative(data, config)).sum()),
        "n_candidates": len(data.new_items),
        "n_users": {part.value: evaluation.per_user.height for part, evaluation in judged.items()},
        "metrics": {part.value: evaluation.means for part, evaluation in judged.items()},
        "protocol": PROTOCOL,
        "versions": {"python": platform.python_version(), "milkprep": __version__, "torch": torch.__version__},
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
