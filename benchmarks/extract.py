"""Contents a second of `extract`, against a bare loop over ready batches in memory and against one content at a time, in one run.

The bare loop gives the same encoder the very batches that `extract` makes, decoded before the clock starts; it is run over the first half
before `extract` and over the second half after it, so that a machine that slows down slows both. The straightforward way decodes one
content and encodes it alone, one after the other, over the first contents. Loading the weights is in none of them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import contents

from milkprep import extractors
from milkprep.encoder import Encoder, EncoderOptions
from milkprep.engine.content import PAGE_ITEMS
from milkprep.engine.embedding import Waiting, batches, windows
from milkprep.extract import extract
from schemas.contracts import Modality
from schemas.reporting import Silent

#: Share of the contents that the straightforward way is timed on.
ALONE = 0.1


def bare(encoder: Encoder[Any, Any], given: Sequence[Any], *, modality: Modality) -> float:
    """Seconds of encoding ready batches."""
    page, ready = PAGE_ITEMS[modality], []
    for first in range(0, len(given), page):
        decoded = [encoder.decode(content) for content in given[first : first + page]]
        waiting = [Waiting(f"{place:06}", value, encoder.size_of(value)) for place, value in enumerate(decoded)]
        for window in windows(waiting, budget=encoder.budget):
            ready += [[content.value for content in batch] for batch in batches(window, batch_size=encoder.batch_size, budget=encoder.budget)]
    started = time.perf_counter()
    for batch in ready:
        encoder.encode(batch)
    return time.perf_counter() - started


def alone(encoder: Encoder[Any, Any], given: Sequence[Any]) -> float:
    """Seconds of decoding and encoding contents one after the other."""
    started = time.perf_counter()
    for content in given:
        encoder.encode([encoder.decode(content)])
    return time.perf_counter() - started


def measure(path: Path, given: Sequence[Any], *, modality: Modality, options: EncoderOptions) -> dict[str, Any]:
    """Contents a second three ways, and where `extract` spent its time.

    Args:
        path: a store with the contents, nothing embedded yet.
        given: the contents: texts as `extract` composes them, or paths.
        modality: of the contents; its default encoder is taken.
        options: of the encoder.
    """
    encoder = extractors.resolve(modality, None).build(options)
    half, few = len(given) // 2, max(1, int(ALONE * len(given)))
    encoder.encode([encoder.decode(given[0])])  # what is done once
    seconds_bare = bare(encoder, given[:half], modality=modality)
    report = extract(path, modality=modality, options=options, reporter=Silent())
    seconds_bare += bare(encoder, given[half:], modality=modality)
    seconds_alone = alone(encoder, given[:few])
    ours = report.n_embedded_now / (report.seconds - report.stages["loading"])
    rates = {"extract": ours, "bare": len(given) / seconds_bare, "alone": few / seconds_alone}
    return {
        **rates, "to_bare": ours / rates["bare"], "to_alone": ours / rates["alone"],
        "n": report.n_embedded_now, "stages": {stage: round(seconds, 2) for stage, seconds in report.stages.items()},
    }  # fmt: skip


def of_texts(folder: Path, *, n: int, stores: Sequence[Path] = (), options: EncoderOptions) -> dict[str, Any]:
    """The three ways over texts; equal ones are embedded once, so each is given once."""
    found = list(dict.fromkeys(contents.texts(n, stores=stores)))
    path = contents.write_texts(folder / "texts.duckdb", found)
    composed = list(dict.fromkeys("\n".join(part for part in text if part) for text in found))
    return measure(path, composed, modality=Modality.TEXT, options=options)


def of_pictures(folder: Path, *, n: int, side: int = 500, options: EncoderOptions) -> dict[str, Any]:
    """The three ways over JPEG files."""
    path = contents.write_pictures(folder / "pictures.duckdb", folder / "pictures", n=n, side=side)
    return measure(path, [folder / "pictures" / f"{item}.jpg" for item in range(n)], modality=Modality.VISUAL, options=options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--stores", type=Path, nargs="*", default=(), help="take texts from these stores")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--weights", help="of ViT-B-32; random when not given: speed does not depend on them", default="random")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if chosen.texts:
            timed = of_texts(Path(place), n=chosen.texts, stores=chosen.stores, options=EncoderOptions())
            print(json.dumps({"benchmark": "extract", "what": "texts by MiniLM", **timed}))
        if chosen.pictures:
            timed = of_pictures(Path(place), n=chosen.pictures, options=EncoderOptions(weights=chosen.weights))
            print(json.dumps({"benchmark": "extract", "what": "JPEG files by ViT-B-32", **timed}))
