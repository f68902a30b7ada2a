"""Training, top to bottom: read a split, impute, train, judge, record.

This is the file to read first; every step is one call into a module of the same name.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import nn

from milktrain import bundle, checkpoint, collaborative, content, devices, events, groups, manifest, protocol, ranking, runs, sampling
from milktrain import config as settings
from milktrain.bundle import Bundle
from milktrain.collaborative import Learned
from milktrain.config import TrainConfig
from milktrain.evaluation import Evaluation, evaluate
from milktrain.loop import SAVE_EVERY_S, Fit, Surroundings, Validation, fit
from milktrain.profiles import Profile
from milktrain.recommender import Content, Scorer, Task
from milktrain.training import Generators
from schemas import fingerprint, plugins
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
        reused: whether it had been finished before, and nothing was trained.
        resumed_at: the epoch at which it went on where it had been interrupted; 0 where it had not.
    """

    run_id: str
    folder: Path
    replaced: bool
    manifest: dict[str, object]
    reused: bool = False
    resumed_at: int = 0


def train(
    store_path: Path, *, split: str, config: TrainConfig, runs_folder: Path, reporter: Reporter, model: str = "milk",
    modalities: Sequence[Modality] | None = None, device: str = "cpu", profile: Profile = Profile.MILK, eval_memory: int = ranking.MEMORY,
    parts: Sequence[Part] = JUDGED, again: bool = True, watch: events.Watch | None = None, tensorboard: bool = False,
    save_every_s: float = SAVE_EVERY_S, backbones_folder: Path | None = None,
) -> Run:  # fmt: skip
    """Train and judge one model on one split, and write its run folder.

    Args:
        store_path: the store; open only while the split is read.
        split: name of a split in it.
        config: the settings.
        runs_folder: gets a folder `<split>-<model>-<preset>-<fingerprint>`; the same run again replaces it, an unfinished one goes on.
        reporter: is told the epochs.
        model: name of a file in `milktrain/models`.
        modalities: which to use; None takes all that have vectors.
        device: `cpu`, `cuda`, one of several as `cuda:1`, or `auto`.
        profile: how it is judged: which candidates, what is masked. Training stops by the rule of `milk` in any case.
        eval_memory: bytes for the scores of a chunk when ranking; it changes no metric.
        parts: which it is judged on; a search of settings looks at validation alone, and test interactions are not touched then.
        again: whether a run that is finished is run again; else what it left is the answer.
        watch: is given each row of the log as it is made; of a run that goes on, those from before at first.
        tensorboard: whether the log is written as curves too, see `events`.
        save_every_s: seconds between two states of training on disk, from which a killed run goes on.
        backbones_folder: where collaborative vectors are kept for whoever asks for the same; None keeps them in `runs_folder`.

    Raises:
        MilkError: see `bundle.read`, `loop.fit`; or if another process trains this run.
    """
    started = time.perf_counter()
    plugins.check_known(model, plugins.names(MODELS), what="model")
    ranking.check_memory(eval_memory)
    where = devices.choose(device, precision=config.precision)
    config = settings.shaping(config, model=model)
    data = bundle.read(store_path, split=split, modalities=modalities)
    known = manifest.identity(data, model=model, config=config, device=where.type, profile=profile) | {"store": store_path.name}
    folder = runs_folder / str(known["run_id"])
    with runs.held(folder), events.writing(runs_folder / events.FOLDER / folder.name if tensorboard else None) as curves:
        finished = None if again else runs.finished(folder, fingerprint=str(known["fingerprint"]))
        if finished and manifest.judges(finished, parts):
            events.tell_all(curves, runs.read_log(folder))
            return Run(folder.name, folder, False, finished, reused=True)
        unfinished = checkpoint.Unfinished(runs.unfinished(folder), run=str(known["fingerprint"]))
        around = Surroundings(where, unfinished, save_every_s, events.everyone(watch, curves))
        kept = backbones_folder or runs_folder / collaborative.FOLDER
        learned = collaborative.of_run(data, config=config, folder=kept, reporter=reporter, device=where)
        scorer, how = _trained(data, model=model, config=config, learned=learned, reporter=reporter, around=around, memory=eval_memory)
        lies = where if isinstance(scorer, nn.Module) else ranking.PROCESSOR
        judged = {part: _judged(scorer, data, part, profile=profile, config=config, memory=eval_memory, device=lies) for part in parts}
        left_out = int((~_has_negative(data, config)).sum())
        went = manifest.outcome(data, how=how, judged=judged, n_without_negative=left_out, seconds=time.perf_counter() - started)
        record = known | manifest.backbone(learned) | went
        replaced = folder.exists()
        by_group = pl.concat(groups.frame(data, part, evaluation.lists, cutoffs=config.cutoffs) for part, evaluation in judged.items())
        _write(folder, scorer, how, judged, by_group, record)
        unfinished.remove()
        return Run(folder.name, folder, replaced, record, resumed_at=how.resumed_at if how else 0)


def _trained(
    data: Bundle, *, model: str, config: TrainConfig, learned: Learned | None, reporter: Reporter, around: Surroundings, memory: int
) -> tuple[Scorer, Fit | None]:  # fmt: skip
    generators = Generators.seeded(config.seed)
    vectors = learned.vectors if learned else None
    task = Task(devices.content_on(around.device, content_of(data, config)), data.n_users, data.pairs[Part.TRAIN], vectors)
    scorer: Scorer = plugins.load(MODELS, model).build(task, config, generator=generators.weights)
    if not isinstance(scorer, nn.Module):
        return scorer, None
    scorer.to(around.device)
    return scorer, _fit(scorer, data, config=config, generators=generators, reporter=reporter, around=around, memory=memory)


def _write(
    folder: Path, scorer: Scorer, how: Fit | None, judged: dict[Part, Evaluation], by_group: pl.DataFrame, record: dict[str, object]
) -> None:  # fmt: skip
    with runs.writing(folder) as partial:
        by_group.write_parquet(partial / runs.GROUPS)
        for part, evaluation in judged.items():
            evaluation.per_user.write_parquet(partial / f"users_{part}.parquet")
        runs.write_log(how.log if how else [], partial / "log.jsonl")
        if isinstance(scorer, nn.Module):
            checkpoint.save(scorer, partial / "model.safetensors")
            record["weights_sha256"] = fingerprint.of_file(partial / "model.safetensors")  # so that a run is used with its own weights
        runs.write_json(record, partial / runs.MANIFEST)


def _judged(
    scorer: Scorer, data: Bundle, part: Part, *, profile: Profile, config: TrainConfig, memory: int, device: torch.device
) -> Evaluation:  # fmt: skip
    pool, pairs = protocol.pool(data, part, profile=profile), data.pairs[part]
    return evaluate(scorer, pairs=pairs, candidates=pool.candidates, masked=pool.masked, cutoffs=config.cutoffs, memory=memory, device=device)


def content_of(data: Bundle, config: TrainConfig) -> Content:
    """What models may know of the items: features scaled and holes filled as the settings say, fitted on training items alone.

    Works in the memory of the bundle's own features, so that wide ones are there once; read the bundle again for what they were.
    """
    return content.prepare(data.features, data.available, is_train=data.is_train, modalities=data.modalities, config=config)


def negative_candidates(data: Bundle, config: TrainConfig) -> torch.Tensor:
    """(C,) item ids that negatives are drawn from: training items that somebody has, or all items of the split as the authors' code does."""
    if config.negatives == "train":
        return data.warm_items
    return torch.cat(list(data.items.values())).sort().values


def _has_negative(data: Bundle, config: TrainConfig) -> torch.Tensor:
    return sampling.can_have_negative(data.pairs[Part.TRAIN], candidates=negative_candidates(data, config), n_items=data.n_items)


def _fit(
    scorer: nn.Module, data: Bundle, *, config: TrainConfig, generators: Generators, reporter: Reporter, around: Surroundings, memory: int
) -> Fit:
    # A user who has every candidate can have no negative: such interactions are counted in the manifest.
    has_negative = _has_negative(data, config)
    train = data.pairs[Part.TRAIN]
    usable = train if bool(has_negative.all()) else train[has_negative]  # not there twice
    sampler = sampling.negatives(usable, candidates=negative_candidates(data, config), n_items=data.n_items)
    validation = Validation(data.pairs[Part.VAL], data.new_items, memory)
    return fit(
        scorer, train=usable, sampler=sampler, validation=validation, config=config, generators=generators, reporter=reporter, around=around,  # type: ignore[arg-type] # plugins are typed by protocol
    )  # fmt: skip
