"""What encoders offer, as tables for people: one an encoder, so that every name fits a terminal of 80 columns and can be copied.

What a column is called is the option that takes its values; a column with nothing to choose is left out.
"""

from itertools import groupby
from typing import TYPE_CHECKING

from milkprep import extractors
from milkprep.encoder import Offer
from schemas.contracts import Modality

if TYPE_CHECKING:
    import polars as pl

#: What an offer without weights says there.
NO_WEIGHTS = "none"

Offered = list[tuple[str, Modality, Offer]]


def offered(modality: Modality | None) -> Offered:
    """Encoder, modality and offer, in the order of modalities and names; no weights are read.

    Args:
        modality: only those that embed this; None for all.
    """
    found = [row for row in extractors.offered() if modality in (None, row[1])]
    return sorted(found, key=lambda row: list(Modality).index(row[1]))


def tables(offers: Offered) -> list[tuple[str, "pl.DataFrame"]]:
    """A title and a frame for each encoder with weights, and one for those of a modality that need none.

    Args:
        offers: as `offered` gives them.
    """
    import polars as pl

    found = []
    for kind, of_kind in groupby(offers, key=lambda row: row[1]):
        rows = list(of_kind)
        free = [(name, offer.width) for name, _, offer in rows if offer.weights == NO_WEIGHTS]
        learned = [row for row in rows if row[2].weights != NO_WEIGHTS]
        for name, of_name in groupby(learned, key=lambda row: row[0]):
            default = " (when --encoder is not given)" if extractors.DEFAULTS.get(kind) == name else ""
            found.append((f"{kind}: --encoder {name}{default}", _of_encoder([offer for _, _, offer in of_name])))
        if free:
            schema = {"--encoder": pl.String, "width": pl.Int64}
            found.append((f"{kind}, no weights", pl.DataFrame(free, schema=schema, orient="row")))
    return found


def _of_encoder(offers: list[Offer]) -> "pl.DataFrame":
    import polars as pl

    rows = [(o.model, o.weights, o.width, "yes" if o.is_here else "no", o.origin) for o in offers]
    schema = {"--model": pl.String, "--weights": pl.String, "width": pl.Int64, "here": pl.String, "from": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame if any(offer.model for offer in offers) else frame.drop("--model")
