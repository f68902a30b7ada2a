"""Items near an item, where a run's model puts them: in the space it shares between modalities and with users, by cosine.

What an item lacks counts with its stand-in, as in its scores. An item of which the model knows nothing is near none.
"""

from dataclasses import dataclass

import polars as pl
import torch
from torch.nn import functional as F

from milktrain import topk
from milktrain.recommender import Placing
from milktrain.using import asking, ties
from milktrain.using.among import Among
from milktrain.using.recommending import LIST_OF_WORDS
from milktrain.using.trained import Trained
from schemas.errors import DataError

#: Items put in place at a time.
CHUNK_ITEMS = 65_536
SCHEMA: dict[str, pl.DataType] = {
    "rank": pl.Int64(), "item": pl.String(), "title": pl.String(), "cosine": pl.Float64(), "used": LIST_OF_WORDS, "missing": LIST_OF_WORDS,
    "lost": LIST_OF_WORDS, "part": pl.String(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Similar:
    """Items near one.

    Args:
        run: name of the run.
        item: key of the item.
        title: its title, where known.
        used: modalities that speak for it.
        among: which items were looked at.
        n_candidates: of these, compared.
        n_without: left out, because they have no modality that the run uses.
        n_tied: see `Recommendations`; by cosine.
        items: `rank`, `item` (key), `title`, `cosine` in the run's space, modalities that are `used`, `missing`, and `lost` (taken away by
            the split), and `part` of the split (`untouched` outside of it).
    """

    run: str
    item: str
    title: str | None
    used: list[str]
    among: Among
    n_candidates: int
    n_without: int
    n_tied: int
    items: pl.DataFrame


def similar(trained: Trained, item: str, *, k: int = 10, among: Among = Among.ALL) -> Similar:
    """The k items nearest to an item.

    Args:
        trained: the run.
        item: key of an item of its store.
        k: length of the list; fewer where there are fewer items.
        among: all items, or those that training did not see.

    Raises:
        BadValue: if k is below 1.
        DataError: if the store knows no such item, the model knows nothing of it, or it is of a kind that puts items nowhere.
        Stale: if the store is no longer what the run was trained on.
    """
    asking.check_k(k)
    model, data = trained.catalogue.model, trained.catalogue.data
    if not isinstance(model, Placing):
        raise DataError(
            f"{trained.name} is of {trained.record.model}, which puts items nowhere, so that none is near another. "
            "Name a run of a model that does, as milk."
        )
    asked = asking.index_of(item, data.item_keys, what="item")
    if not bool(data.available[asked].any()):
        raise DataError(f"{item!r} has none of {', '.join(data.modalities)} in split {data.split.name!r}, so the model knows nothing of it.")
    looked_at = asking.new_items(data) if among is Among.NEW else torch.arange(data.n_items)
    known = asking.with_something(looked_at, data)
    candidates = known[known != asked]
    device = trained.catalogue.content.available.device
    with torch.inference_mode():
        place = F.normalize(model.places(torch.tensor([asked], device=device)), dim=1)
        chunks = [F.normalize(model.places(part.to(device)), dim=1) @ place[0] for part in torch.split(candidates, CHUNK_ITEMS)]
    cosines = torch.cat(chunks).float().cpu() if chunks else torch.empty(0)
    best = topk.columns_of(topk.best_keys(cosines[None], k))[0] if len(candidates) else torch.empty(0, dtype=torch.int64)
    part_of, titles = asking.parts_of(data), trained.titles
    rows = [
        (rank, data.item_keys[i], titles[i], cosine, asking.used(i, data), asking.missing(i, data), asking.lost(i, data), part_of[i])
        for rank, (i, cosine) in enumerate(zip(candidates[best].tolist(), cosines[best].tolist(), strict=True), start=1)
    ]
    return Similar(
        trained.name, item, titles[asked], asking.used(asked, data), among, len(candidates), len(looked_at) - len(known),
        ties.at_the_cut(cosines, cosines[best]),
        pl.DataFrame(rows, schema=SCHEMA, orient="row"),
    )  # fmt: skip
