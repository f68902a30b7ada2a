"""Items that are in no store, scored for a user beside those of the catalogue.

They are put behind the items of the store and go the way that all new items go: scaled by what was fitted on training items, holes
filled by the run's policy, and nothing of the others changes by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch

from milktrain.bundle import Bundle
from milktrain.recommender import Placing
from milktrain.using import asking
from milktrain.using.recommending import LIST_OF_WORDS, best_for, scores_of
from milktrain.using.trained import Trained
from schemas.contracts import Modality, Part
from schemas.errors import DataError, ShapeError, Stale
from schemas.new_items import NewItems, Refused

SCHEMA: dict[str, pl.DataType] = {
    "rank": pl.Int64(), "item": pl.String(), "title": pl.String(), "score": pl.Float64(), "above": pl.Float64(), "used": LIST_OF_WORDS,
    "missing": LIST_OF_WORDS, "reasons": LIST_OF_WORDS, "catalogue": pl.String(), "had": pl.Boolean(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewRecommendations:
    """New items ranked for one user.

    Args:
        run: name of the run.
        user: key of the user.
        n_given: items in the file.
        n_without: of these, not scored, because they have no modality that the run uses.
        n_training: interactions of the user in training; at 0 the run knows nothing of them.
        n_compared: items of the catalogue that training did not see, which `above` compares with.
        n_tied: see `Recommendations`; of the items in the file that are scored.
        items: `rank` (null for items that are not scored, which come last), `item` (key), `title`, `score`, the share of the catalogue's
            new items that score lower (`above`), modalities that are `used` and `missing`, the `reasons` for each missing one, and the
            part of the split that an item of this key has in the `catalogue`, else null, and whether the user `had` that one.
        refused: lines of the file that are no items.
        notes: what else a reader should know.
    """

    run: str
    user: str
    n_given: int
    n_without: int
    n_training: int
    n_compared: int
    n_tied: int
    items: pl.DataFrame
    refused: Sequence[Refused]
    notes: Sequence[str]


def recommend_new(trained: Trained, user: str, new: NewItems, *, k: int = 10) -> NewRecommendations:
    """The k of some new items that a run scores highest for a user, and all that it cannot score.

    Args:
        trained: the run.
        user: key of a user of its store.
        new: items with their vectors.
        k: length of the list; fewer where there are fewer items.

    Raises:
        BadValue: if k is below 1.
        DataError: if the store knows no such user, or the model ranks without looking at content.
        Stale: if the vectors are of other encoders than the run's, or the store is no longer what it was trained on.
    """
    asking.check_k(k)
    check(trained, user)
    data, n = trained.catalogue.data, trained.catalogue.data.n_items
    who, compared = asking.index_of(user, data.user_keys, what="user"), asking.with_something(asking.new_items(data), data)
    ready = trained.with_new(new, beside)
    behind = torch.arange(n, n + len(new.keys))
    known = asking.with_something(behind, ready.data)
    best, scores, n_tied = best_for(who, known, ready, k=k) if len(known) else (known, torch.empty(0), 0)
    others = scores_of(who, compared, trained.catalogue.scorer).sort().values if len(compared) else torch.empty(0)
    lower = torch.searchsorted(others, scores.contiguous()) / max(1, len(others))
    part_of = dict(zip(data.item_keys, asking.parts_of(data), strict=True))
    had = {data.item_keys[i] for i in asking.pairs_of(who, data, parts=list(Part)).tolist()}
    rows = [_row(i - n, rank, score, above, new=new, ready=ready.data, part_of=part_of, had=had)
            for rank, (i, score, above) in enumerate(zip(best.tolist(), scores.tolist(), lower.tolist(), strict=True), start=1)]  # fmt: skip
    unknown = behind[~torch.isin(behind, known)].tolist()
    rows += [_row(i - n, None, None, None, new=new, ready=ready.data, part_of=part_of, had=had) for i in unknown]
    return NewRecommendations(
        trained.name, user, len(new.keys), len(unknown), len(asking.pairs_of(who, data, parts=[Part.TRAIN])), len(compared), n_tied,
        pl.DataFrame(rows, schema=SCHEMA, orient="row"), new.refused, new.notes,
    )  # fmt: skip


def check(trained: Trained, user: str) -> None:
    """Refuse what no new items could change, before anybody embeds them.

    Raises:
        DataError: if the store knows no such user, or the model ranks without looking at content.
        Stale: if the store is no longer what the run was trained on.
    """
    asking.index_of(user, trained.catalogue.data.user_keys, what="user")
    if not isinstance(trained.catalogue.model, Placing):
        raise DataError(
            f"{trained.name} is of {trained.record.model}, which knows nothing of items but their numbers. "
            "Name a run of a model that knows content, as milk does."
        )


def beside(data: Bundle, new: NewItems) -> Bundle:
    """The items of a store and new ones behind them.

    Args:
        data: V items.
        new: N items.

    Raises:
        Stale: if vectors are of other feature sets than those of `data`.
        ShapeError: if they are not N of its widths.
    """
    matrices = [_matrix(new, each.modality, fingerprint=each.fingerprint, width=each.identity.width) for each in data.feature_sets]
    there = torch.stack([~matrix.isnan().any(dim=1) for matrix in matrices], dim=1)  # (N, M)
    return replace(
        data, item_keys=[*data.item_keys, *new.keys], features=tuple(torch.cat(both) for both in zip(data.features, matrices, strict=True)),
        present=torch.cat([data.present, there]), available=torch.cat([data.available, there]),
    )  # fmt: skip


def _matrix(new: NewItems, modality: Modality, *, fingerprint: str, width: int) -> torch.Tensor:
    if modality not in new.vectors:
        return torch.full((len(new.keys), width), torch.nan)
    found = new.vectors[modality]
    if found.fingerprint != fingerprint:
        raise Stale(f"The new items' {modality} vectors are of another encoder than the run's. Embed them for the feature sets of the run.")
    if found.matrix.shape != (len(new.keys), width):
        raise ShapeError(f"{len(new.keys)} new items have {modality} vectors of shape {found.matrix.shape}; the run's are {width} wide.")
    return torch.from_numpy(np.array(found.matrix, dtype=np.float32))


def _row(
    i: int, rank: int | None, score: float | None, above: float | None, *, new: NewItems, ready: Bundle, part_of: dict[str, str], had: set[str]
) -> tuple[object, ...]:  # fmt: skip
    item = ready.n_items - len(new.keys) + i
    missing = asking.missing(item, ready)
    reasons = [new.vectors[Modality(name)].reasons[i] or "" if Modality(name) in new.vectors else "not extracted" for name in missing]
    return rank, new.keys[i], new.titles[i], score, above, asking.used(item, ready), missing, reasons, part_of.get(new.keys[i]), new.keys[i] in had
