"""What `run.json` says: which run it is, and how it went."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import torch

from milktrain import protocol
from milktrain.bundle import Bundle
from milktrain.collaborative import Learned
from milktrain.config import TrainConfig, shaping
from milktrain.evaluation import Evaluation
from milktrain.loop import Fit
from milktrain.profiles import Profile
from schemas import __version__, fingerprint
from schemas.contracts import Part


def identity(data: Bundle, *, model: str, config: TrainConfig, device: str = "cpu", profile: Profile = Profile.MILK) -> dict[str, object]:
    """What makes this run another than others; known before it begins.

    Args:
        data: what it is trained on.
        model: name of the model.
        config: all settings; those that make no difference to the model make no other run, and are recorded as its preset has them.
        device: `cpu` or `cuda`; sums are in another order on a GPU, so that runs there are runs of their own.
        profile: how it is judged.
    """
    settings = shaping(config, model=model).model_dump(mode="json")
    sets = {
        each.modality.value: {
            "encoder": each.identity.encoder,
            "weights": each.identity.weights,
            "fingerprint": each.fingerprint,
            "contents": contents,
        }
        for each, contents in zip(data.feature_sets, data.contents, strict=True)
    }
    judged_by = protocol.words(profile)
    # What most runs do not have is named where it is there, so that their names stay what they were.
    apart = [*([] if device == "cpu" else [device]), *(["cold training items are as new ones"] if data.has_cold_items else [])]
    whole = fingerprint.of_value([model, settings, data.split.fingerprint, sets, judged_by, __version__, *apart])
    return {
        "run_id": f"{data.split.name}-{model}-{config.preset}-{whole[:8]}",
        "fingerprint": whole,
        "model": model,
        "preset": config.preset,
        "config": settings,
        "split": data.split.name,
        "setting": data.split.setting.value,
        "split_seed": data.split.seed,
        "split_fingerprint": data.split.fingerprint,
        "seed": config.seed,
        "modalities": ",".join(data.modalities),
        "feature_sets": sets,
        "device": device,
        "profile": profile.value,
        "protocol": judged_by,
    }


def backbone(learned: Learned | None) -> dict[str, object]:
    """Where the collaborative vectors came from that a model started from; nothing for a model that has none."""
    if learned is None:
        return {}
    return {"backbone": {"name": learned.name, "fingerprint": learned.fingerprint, "seconds": learned.seconds, "reused": learned.reused}}


def outcome(
    data: Bundle, *, how: Fit | None, judged: dict[Part, Evaluation], n_without_negative: int, seconds: float
) -> dict[str, object]:  # fmt: skip
    """How a run went; together with its identity the whole manifest.

    Args:
        data: what it was trained on.
        how: training went; None for models that learn nothing by steps.
        judged: its metrics, by part; validation is always among them.
        n_without_negative: training interactions that were left out, because their users have every candidate.
        seconds: the whole run took, or what went on after it was interrupted.
    """
    told = judged.get(Part.TEST, judged[Part.VAL])
    return {
        "epochs": how.epochs if how else 0,
        "best_epoch": how.best_epoch if how else 0,
        "seconds_per_epoch": how.seconds_per_epoch if how else 0.0,
        "seconds": seconds,
        "n_train": len(data.pairs[Part.TRAIN]),
        "n_train_without_negative": n_without_negative,
        "n_candidates": told.n_candidates,
        "n_candidates_of_validation": judged[Part.VAL].n_candidates,
        "n_users_without_positives": {part.value: data.n_users - evaluation.per_user.height for part, evaluation in judged.items()},
        "n_users": {part.value: evaluation.per_user.height for part, evaluation in judged.items()},
        "metrics": {part.value: evaluation.means for part, evaluation in judged.items()},
        "versions": {"python": platform.python_version(), "milkprep": __version__, "torch": torch.__version__},
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def judges(record: Mapping[str, object], parts: Sequence[Part]) -> bool:
    """Whether a run's record has metrics of all these parts."""
    metrics = record.get("metrics")
    return isinstance(metrics, dict) and set(parts) <= set(metrics)
