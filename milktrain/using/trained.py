"""A finished run opened again: its record, the data it was trained on, and the model it left.

Promises: nothing is unpickled; the split and the vectors are those that the run was trained on, or it says which are not; scores are those
of the training, to the bit where they are computed on the same kind of device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
import torch
from torch import nn

from milktrain import bundle, checkpoint, collaborative, devices, recipe
from milktrain.bundle import Bundle
from milktrain.config import TrainConfig
from milktrain.loop import OnDevice
from milktrain.recommender import Content, Scorer, Task
from milktrain.training import Generators
from milktrain.using import finding, record
from milktrain.using.record import Record
from schemas import feature_sets, fingerprint, plugins, queries
from schemas.contracts import FeatureSet, Part
from schemas.errors import DataError, Stale
from schemas.new_items import NewItems
from schemas.store import Store

WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Ready:
    """A model with the items it can score.

    Args:
        data: the items; of its features only the shapes are left, they became `content`.
        content: what the model knows of them.
        scorer: the model, in main memory's terms wherever it lies.
        model: the model itself.
        device: where it lies.
    """

    data: Bundle
    content: Content
    scorer: Scorer
    model: Scorer
    device: torch.device


class Trained:
    """A finished run, to be used.

    Args:
        folder: its run folder.
        store: the store with the split it was trained on.
        record: what its `run.json` says.
        device: where scores are computed: `cpu`, `cuda`, or `auto`.
    """

    def __init__(self, folder: Path, *, store: Path, record: Record, device: str = "cpu") -> None:
        self.folder, self.store, self.record = folder, store, record
        self._device = devices.choose(device)
        self._beside: tuple[NewItems, Ready] | None = None

    @property
    def name(self) -> str:
        """Of the run."""
        return self.record.run_id

    @property
    def config(self) -> TrainConfig:
        """All settings."""
        return self.record.config

    @cached_property
    def feature_sets(self) -> tuple[FeatureSet, ...]:
        """The feature sets it was trained on, in the order of its modalities.

        Raises:
            Stale: if the store shows others.
        """
        with Store(self.store, mode="read") as opened:
            shown = feature_sets.current(opened)
            for modality, trained_on in self.record.feature_sets.items():
                now = shown.get(modality)
                if now is None or now.fingerprint != trained_on.fingerprint:
                    made = f"{trained_on.encoder} ({trained_on.weights})" if trained_on.weights != "none" else trained_on.encoder
                    kept = feature_sets.by_name(opened, trained_on.fingerprint)
                    back = (
                        f"`python cli.py feature-sets --use {kept.feature_set_id} --store {self.store}` shows them again"
                        if kept
                        else "Those are gone"
                    )
                    raise Stale(
                        f"{self.name} was trained on {modality} vectors by {made}, and {self.store} shows "
                        f"{f'those by {now.identity.encoder}' if now else 'none'} now. {back}; else train again.{self._elsewhere}"
                    )
            return tuple(shown[modality] for modality in self.record.modality_names)

    @cached_property
    def catalogue(self) -> Ready:
        """The model over all items of the store, those outside of its split with what they have."""
        return self.ready(self.data(untouched=True))

    def with_new(self, new: NewItems, put: Callable[[Bundle, NewItems], Bundle]) -> Ready:
        """The model over all items of the store and new ones behind them; kept for as long as the same ones are asked for.

        Args:
            new: the new items.
            put: makes one of both.
        """
        if self._beside is None or self._beside[0] is not new:
            self._beside = new, self.ready(put(self.data(untouched=True), new))
        return self._beside[1]

    @cached_property
    def titles(self) -> pl.Series:
        """Of each item its title, or null, by item id."""
        with Store(self.store, mode="read") as opened:
            return opened.query(queries.load("milktrain.sql", "using.sql")["titles"])["title"]

    def data(self, *, split: str | None = None, untouched: bool = False) -> Bundle:
        """The run's own split, or another of its store.

        Args:
            split: name of another; None: its own.
            untouched: whether items outside of the split come with the modalities they have; else without any.

        Raises:
            Stale: if the store is no longer what the run was trained on.
            SplitMissing: if there is no other split of that name.
        """
        assert self.feature_sets
        read = bundle.read(self.store, split=split or self.record.split, modalities=self.record.modality_names, untouched=untouched)
        if split in (None, self.record.split) and read.split.fingerprint != self.record.split_fingerprint:
            raise Stale(
                f"Split {self.record.split!r} of {self.store} is not the one that {self.name} was trained on: it was built again since. "
                f"Train again.{self._elsewhere}"
            )
        for each, contents in zip(read.feature_sets, read.contents, strict=True):
            if self.record.feature_sets[each.modality].contents != contents:
                raise Stale(
                    f"The {each.modality} vectors of {self.store} are of other content than {self.name} was trained on: extraction went on since, or "
                    f"content changed. Train again.{self._elsewhere}"
                )
        return read

    @property
    def _elsewhere(self) -> str:
        """A hint, where the store is perhaps the wrong one."""
        return (
            ""
            if self.store.name == self.record.store
            else f" The run names {self.record.store!r} as its store: is that the one to name with --store?"
        )

    def ready(self, data: Bundle) -> Ready:
        """The model for some data; its features are used up.

        Args:
            data: items, of which those that the run was trained on are as they were.

        Raises:
            DataError: if the weights are absent, damaged, or of another run.
        """
        content = devices.content_on(self._device, recipe.content_of(data, self.config))
        # What a backbone learned is part of the state that is put back below.
        task = Task(content, data.n_users, data.pairs[Part.TRAIN], collaborative.unlearned(data, self.config))
        model: Scorer = plugins.load(recipe.MODELS, self.record.model).build(task, self.config, generator=Generators.seeded(self.config.seed).weights)
        where = torch.device("cpu")  # of models that learn nothing
        if isinstance(model, nn.Module):
            self._restore(model)
            where = self._device
            model.to(where).eval()
        return Ready(data, content, OnDevice(model, where), model, where)

    def _restore(self, model: nn.Module) -> None:
        file = self.folder / WEIGHTS
        if not file.is_file():
            raise DataError(f"{self.folder} holds no {WEIGHTS}, so there is no model to use. Copy the whole run folder, or train again.")
        if self.record.weights_sha256 not in (None, fingerprint.of_file(file)):
            raise DataError(f"{file} is not what {self.name} left: its digest is another. Copy the run folder again, or train again.")
        checkpoint.load(model, file)
        if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
            raise DataError(f"{file} holds numbers that are not finite. Copy the run folder again, or train again.")


def open_run(run: str | Path, *, store: str | Path | None = None, runs: str | Path | None = None, device: str = "cpu") -> Trained:
    """Open a finished run.

    Args:
        run: its folder, its `run.json`, its name, or the start of a name that no other run has.
        store: the store it was trained on; None: the one that its record names, beside its folder of runs.
        runs: folder that names are looked for in; None: `runs` beside the store, or here.
        device: where scores are computed: `cpu`, `cuda`, or `auto`.

    Raises:
        BadValue: if there is no such run, or no such device.
        DataError: if it is not whole, or its store is not there.
        UnknownName: if it is of a model that nobody knows here.
    """
    given = Path(store) if store else None
    folder = finding.run_folder(run, runs=Path(runs) if runs else None, store=given)
    found = record.read(folder)
    plugins.check_known(found.model, plugins.names(recipe.MODELS), what="model")
    return Trained(folder, store=given or finding.store_of(folder, found.store), record=found, device=device)
