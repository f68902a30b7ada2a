"""The best items of the catalogue for a user, by a finished run.

Scores and the order of equal ones are those that the run is judged by. What the user had in training is never in the list; an item of
which the model knows nothing is not ranked by it.
"""

from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from milktrain import ranking, topk
from milktrain.recommender import Placing, Scorer
from milktrain.using import asking, ties
from milktrain.using.among import Among
from milktrain.using.trained import Ready, Trained
from schemas.contracts import Part
from schemas.errors import DataError

LIST_OF_WORDS = pl.List(pl.String)
SCHEMA: dict[str, pl.DataType] = {
    "rank": pl.Int64(), "item": pl.String(), "title": pl.String(), "score": pl.Float64(), "used": LIST_OF_WORDS, "missing": LIST_OF_WORDS,
    "lost": LIST_OF_WORDS, "part": pl.String(), "had": pl.Boolean(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recommendations:
    """A list for one user.

    Args:
        run: name of the run.
        user: key of the user.
        among: which items were looked at.
        n_candidates: of these, ranked.
        n_masked: left out, because the user had them in training.
        n_without: left out, because they have no modality that the run uses.
        n_training: interactions of the user in training; at 0 the run knows nothing of them.
        n_tied: how many candidates have the score of the last in the list, where some of these are not in it or all candidates have the same,
            so that which are listed, or all of their order, is chance; else 0.
        items: `rank`, `item` (key), `title`, `score`, modalities that are `used`, `missing`, and `lost` (taken away by the split),
            `part` of the split (`untouched` outside of it), and whether the user `had` it in validation or test.
    """

    run: str
    user: str
    among: Among
    n_candidates: int
    n_masked: int
    n_without: int
    n_training: int
    n_tied: int
    items: pl.DataFrame


def recommend(trained: Trained, user: str, *, k: int = 10, among: Among = Among.NEW) -> Recommendations:
    """The k items that a run scores highest for a user.

    Args:
        trained: the run.
        user: key of a user of its store.
        k: length of the list; fewer where there are fewer candidates.
        among: the items that training did not see, or all.

    Raises:
        BadValue: if k is below 1.
        DataError: if the store knows no such user, or no item is left to recommend.
        Stale: if the store is no longer what the run was trained on.
    """
    asking.check_k(k)
    ready = trained.catalogue
    data = ready.data
    who = asking.index_of(user, data.user_keys, what="user")
    looked_at = asking.new_items(data) if among is Among.NEW else torch.arange(data.n_items)
    known = asking.with_something(looked_at, data) if isinstance(ready.model, Placing) else looked_at
    had = asking.pairs_of(who, data, parts=[Part.TRAIN])
    candidates = known[~torch.isin(known, had)]
    if not len(candidates):
        raise DataError(f"No item is left to recommend to {user!r} among {among} items. Ask with --among {Among.ALL}.")
    best, scores, n_tied = best_for(who, candidates, ready, k=k)
    return Recommendations(
        trained.name, user, among, len(candidates), len(known) - len(candidates), len(looked_at) - len(known), len(had), n_tied,
        _listed(best.tolist(), scores.tolist(), trained=trained, ready=ready, later=asking.pairs_of(who, data, parts=[Part.VAL, Part.TEST])),
    )  # fmt: skip


def best_for(user: int, candidates: Tensor, ready: Ready, *, k: int) -> tuple[Tensor, Tensor, int]:
    """Ids and scores of the k best candidates, best first; equal scores in the order that evaluation breaks ties by.

    Args:
        user: id.
        candidates: (C,) ids, ascending.
        ready: the model.
        k: how many, at most.

    Returns:
        Two of (min(k, C),), and how many are tied at the end, see `ties.at_the_cut`.
    """
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(ranking.TIE_SEED))
    shuffled = candidates[order]
    scores = scores_of(user, shuffled, ready.scorer)
    columns = topk.columns_of(topk.best_keys(scores[None], k))[0]
    return shuffled[columns], scores[columns], ties.at_the_cut(scores, scores[columns])


def scores_of(user: int, candidates: Tensor, scorer: Scorer) -> Tensor:
    """(C,) float32 scores of one user."""
    with torch.inference_mode():
        return scorer.ranker(candidates)(torch.tensor([user]))[0].float()


def _listed(best: list[int], scores: list[float], *, trained: Trained, ready: Ready, later: Tensor) -> pl.DataFrame:
    data, part_of, titles, had = ready.data, asking.parts_of(ready.data), trained.titles, set(later.tolist())
    rows = [
        (
            rank, data.item_keys[item], titles[item], score, asking.used(item, data), asking.missing(item, data), asking.lost(item, data),
            part_of[item], item in had,
        )
        for rank, (item, score) in enumerate(zip(best, scores, strict=True), start=1)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
