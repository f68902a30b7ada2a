"""Titles that are bags of anonymous words, as vectors: TF-IDF, then truncated SVD (latent semantic analysis).

Promises: the same titles, width and seed give the same vectors to the bit on one machine; equal titles have equal vectors; the
width is lowered where the titles span fewer dimensions; memory does not grow with the number of titles, as beyond a limit a
seeded sample of them is fitted. tf is the raw count, idf = ln((1 + titles) / (1 + titles with the word)) + 1, and rows have length 1,
as in scikit-learn. Of each component the entry of largest magnitude is positive.
Source: Deerwester et al. 1990; Halko, Martinsson & Tropp 2011 for the randomised SVD.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milkprep.pull import vectors
from milkprep.pull.vectors import Refused, VectorRows
from schemas import queries
from schemas.contracts import EncoderIdentity, Modality, RejectReason
from schemas.errors import SourceError
from schemas.reporting import Reporter
from schemas.store import Store

TABLE = "title_words"
ENCODER = "tfidf-svd"
LIBRARIES = ("scikit-learn", "scipy", "numpy")
#: Most words that have a column, the most frequent ones, and most titles that are fitted: together they bound what is held.
MOST_WORDS, MOST_TITLES = 100_000, 200_000
PAGE_ITEMS = 20_000
ITERATIONS = 10
#: A title of length 1 that is left with less lies outside of the components.
SHORTEST = 1e-6
OUTSIDE = "lies outside of the components that are kept"


@dataclass(frozen=True, slots=True)
class _Fit:
    """What turns a title into a vector: idf (words,), components (words, width), and how they came about."""

    idf: NDArray[np.float64]
    components: NDArray[np.float64]
    parameters: dict[str, object]


def write(store: Store, *, titles: str, width: int, seed: int, reporter: Reporter) -> list[str]:
    """Store vectors of `title_words` as the current text feature set. Call inside a transaction.

    Args:
        store: open for writing, with `title_words`, `kept_items`, `staged_titles` and `staged_rejects` ready.
        titles: the file they are from, as it is named in the store.
        width: wanted length of the vectors; lowered to what the titles allow.
        seed: of the randomised SVD, and of the sample where there are too many titles.
        reporter: told the titles read.

    Returns:
        Notes for the report, where the vectors are not as they were wanted.

    Raises:
        SourceError: if no item has a title.
    """
    n_titles, n_words = store.query(_sql()["count_titles"]).row(0)
    if not n_titles:
        raise SourceError(f"No item that is taken has a title in {titles}. Nothing was stored; leave --titles out or check the file.")
    fit = _fitted(store, n_titles=n_titles, n_words=n_words, width=width, seed=seed, reporter=reporter)
    versions = {name: version(name) for name in LIBRARIES}
    identity = EncoderIdentity(ENCODER, "none", "", fit.components.shape[1], "none", fit.parameters, versions)
    vectors.write(
        store, Modality.TEXT, identity, batches=_batches(store, fit), label=TABLE, absent=f"not in {titles}", reporter=reporter, total=n_titles
    )
    store.run(_sql()["explain_empty_titles"], reason=f"its title in {titles} has no words")
    return (
        [f"The titles in {titles} span {identity.width} dimensions, so their vectors have that width, not {width}."] if identity.width < width else []
    )


def _fitted(store: Store, *, n_titles: int, n_words: int, width: int, seed: int, reporter: Reporter) -> _Fit:
    import scipy.sparse
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    sql = _sql()
    store.run(sql["choose_words"], most=MOST_WORDS)
    chosen = store.query(sql["chosen_words"])
    idf = np.log((1 + n_titles) / (1 + chosen["n_titles"].to_numpy())) + 1  # (words,)
    sample = _sampled(store.query(sql["titled_items"])["item_idx"].to_numpy(), seed=seed)
    with reporter.progress("fitting titles", total=len(sample), unit="titles") as progress:
        pieces = []
        for page in _pages(store, idf):
            pieces.append(page.rows[np.isin(page.items, sample)])
            progress.advance(pieces[-1].shape[0])
        matrix = scipy.sparse.vstack(pieces, format="csr")  # (sample, words)
        with threadpool_limits(limits=1):  # sums in another order would differ in the last bits
            _, lengths, components = randomized_svd(matrix, min(width, *matrix.shape), n_iter=ITERATIONS, flip_sign=False, random_state=seed)
    spanned = lengths > lengths[0] * max(matrix.shape) * np.finfo(np.float64).eps
    components = _with_fixed_signs(components[spanned])
    digest = hashlib.sha256(chosen["word"].to_numpy().tobytes() + idf.tobytes() + components.tobytes())
    parameters: dict[str, object] = {
        "wanted_width": width, "seed": seed, "iterations": ITERATIONS, "titles": n_titles, "fitted_titles": matrix.shape[0], "words": len(idf),
        "rarest_words_left_out": n_words - len(idf), "fitted_sha256": digest.hexdigest(),
    }  # fmt: skip
    return _Fit(idf, np.ascontiguousarray(components.T), parameters)


def _sampled(items: NDArray[np.int32], *, seed: int) -> NDArray[np.int32]:
    if len(items) <= MOST_TITLES:
        return items
    return np.sort(np.random.default_rng(seed).choice(items, MOST_TITLES, replace=False))


def _with_fixed_signs(components: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(components).argmax(axis=1)  # (width,)
    signs: NDArray[np.float64] = np.sign(components[np.arange(len(components)), largest])
    return components * signs[:, None]


@dataclass(frozen=True, slots=True)
class _Page:
    """Items from `first` on that have a word with a column, and their TF-IDF rows of length 1, sparse (items, words)."""

    first: int
    items: NDArray[np.int32]
    rows: Any


def _pages(store: Store, idf: NDArray[np.float64]) -> Iterator[_Page]:
    import scipy.sparse

    last = int(store.query(_sql()["last_item"]).item())
    for first in range(0, last + 1, PAGE_ITEMS):
        page = store.query(_sql()["title_page"], first=first, n=PAGE_ITEMS)
        places = page["place"].to_numpy()
        values = page["times"].to_numpy() * idf[places]
        items, starts, counts = np.unique(page["item_idx"].to_numpy(), return_index=True, return_counts=True)
        values /= np.repeat(np.sqrt(np.add.reduceat(values**2, starts)) if len(starts) else values, counts)
        yield _Page(first, items, scipy.sparse.csr_matrix((values, places, np.append(starts, len(places))), shape=(len(items), len(idf))))


def _batches(store: Store, fit: _Fit) -> Iterator[VectorRows]:
    for page in _pages(store, fit.idf):
        rows = np.asarray(page.rows @ fit.components)  # (items, width)
        inside = np.linalg.norm(rows, axis=1) >= SHORTEST
        place = dict(zip(page.items[inside].tolist(), np.flatnonzero(inside).tolist(), strict=True))
        titled = store.query(_sql()["title_lines"], first=page.first, n=PAGE_ITEMS).rows()
        used = [(line, key) for item, key, line in titled if item in place]
        refused = [Refused(line, key, RejectReason.ALL_ZERO, OUTSIDE) for item, key, line in titled if item not in place]
        values = rows[[place[item] for item, _, _ in titled if item in place]].astype(np.float32)
        yield VectorRows([line for line, _ in used], [key for _, key in used], values, refused)


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "tiktok.sql")
