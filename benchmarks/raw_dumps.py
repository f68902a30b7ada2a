"""Raw files of any size in the format of each Amazon release, for benchmarks and tests; nothing in them is real.

Promises: the same arguments give the same bytes; memory does not grow with the number of lines. Users and items follow a power
law; 5 % of the lines are repeated as they are; 2 % of the items that are reviewed have no metadata; some titles are scraped
HTML; a line in a hundred thousand (and at least one a file) is malformed.

Run: python benchmarks/raw_dumps.py --release 2018 --items 200000 --reviews 2000000 --out DIR
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from isal import igzip
from numpy.typing import NDArray

RELEASES = (2014, 2018, 2023)
BATCH = 50_000
#: Shares of lines: repeated, without metadata, with a scraped title, without one, malformed.
REPEATED, WITHOUT_METADATA, SCRAPED, MISSING, MALFORMED = 0.05, 0.02, 0.03, 0.1, 1e-5
MALFORMED_LINES = ("{", '{"asin": "B00', "not a record", '["asin"]', "{'asin': ", "")
#: Odd numbers that scatter consecutive ones over all of 2^36 without a collision, as real keys are scattered.
SCATTER_ITEM, SCATTER_USER, KEYS = 40_503_979_973, 25_214_903_917, 1 << 36
FIRST_SECOND, SECONDS = 1_200_000_000, 300_000_000
POOL, WORDS = 4_000, 20_000
HTML = '<span id="productTitle" class="a-size-medium">var aPageStart = (new Date()).getTime();</span>'


@dataclass(frozen=True, slots=True)
class Dump:
    """The two files of a category."""

    metadata: Path
    reviews: Path


@dataclass(frozen=True, slots=True)
class Texts:
    """Ready-made texts, escaped as the format needs them: a line draws from each list."""

    titles: list[str]
    descriptions: list[str]
    features: list[str]
    reviews: list[str]
    summaries: list[str]


def write(
    folder: Path, *, release: int, n_items: int, n_reviews: int, seed: int = 0, schema: str = "final", gzipped: bool = True, short: bool = False
) -> Dump:
    """Write metadata and reviews of one category.

    Args:
        folder: where to; made when absent.
        release: 2014, 2018 or 2023.
        n_items: lines of metadata, repeated ones included.
        n_reviews: lines of reviews, repeated ones included.
        seed: of everything drawn.
        schema: of the 2018 metadata, early or final.
        gzipped: or plain.
        short: a review has a few words instead of a few sentences.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng([seed, release])
    suffix = (".jsonl" if release == 2023 else ".json") + (".gz" if gzipped else "")
    dump = Dump(folder / f"meta_Made{suffix}", folder / f"{'reviews_' if release == 2014 else ''}Made{suffix}")
    quote = repr if release == 2014 else json.dumps
    numbers = _described(n_items)
    drawn = _texts(generator, quote)
    render = {2014: _metadata_2014, 2018: _metadata_2018_early if schema == "early" else _metadata_2018, 2023: _metadata_2023}[release]
    with _opened(dump.metadata) as put:
        for first in range(0, n_items, BATCH):
            put(_lines(generator, render(generator, numbers[first : first + BATCH], drawn)))
    render = {2014: _reviews_2014, 2018: _reviews_2018, 2023: _reviews_2023}[release]
    drawn = _texts(generator, json.dumps, short=short)
    with _opened(dump.reviews) as put:
        for first in range(0, n_reviews, BATCH):
            n = min(BATCH, n_reviews - first)
            users, items = _power_law(generator, max(n_reviews // 8, 4), n), _power_law(generator, n_items, n)
            put(_lines(generator, render(generator, users, items, drawn)))
    return dump


def _described(n_items: int) -> NDArray[np.int64]:
    """Numbers of items that the metadata describes: all but a few, spread evenly."""
    numbers = np.arange(int(n_items / (1 - WITHOUT_METADATA)) + 50)
    return numbers[numbers % round(1 / WITHOUT_METADATA) != 7][:n_items]


def _power_law(generator: np.random.Generator, n: int, size: int) -> NDArray[np.int64]:
    """Numbers below n, the low ones far more often."""
    return np.asarray((n * generator.random(size) ** 2.5).astype(np.int64))


def _lines(generator: np.random.Generator, lines: list[str]) -> bytes:
    """The lines of a batch, some of them replaced by the one before or by a malformed one."""
    for at in np.flatnonzero(generator.random(len(lines) - 1) < REPEATED).tolist():
        lines[at + 1] = lines[at]
    n_broken = max(1, generator.binomial(len(lines), MALFORMED)) if len(lines) > 100 else 0
    for at in generator.integers(10, max(len(lines), 11), n_broken).tolist():
        lines[at] = MALFORMED_LINES[at % len(MALFORMED_LINES)]
    return ("\n".join(lines) + "\n").encode()


@contextmanager
def _opened(path: Path) -> Iterator[Callable[[bytes], object]]:
    """A file to put bytes into; gzipped by its name, without the time of day in it."""
    with path.open("wb", buffering=1 << 20) as raw:
        if path.suffix != ".gz":
            yield raw.write
            return
        with igzip.IGzipFile(filename="", fileobj=raw, mode="wb", compresslevel=2, mtime=0) as packed:
            yield packed.write


def _texts(generator: np.random.Generator, quote: Callable[[str], str], *, short: bool = False) -> Texts:
    letters = np.array(list("eeeetttaaooiinnsshhrrdlucmwfgypbvk"))
    words = ["".join(generator.choice(letters, n)) for n in generator.integers(2, 11, WORDS).tolist()]
    words[:6] = ["it's", "&amp;", 'the "best"', "caf\u00e9", "1/2&quot;", "fits\nwell"]

    def pool(mean: float, *, most: int) -> list[str]:
        lengths = np.clip(generator.lognormal(np.log(mean), 0.7, POOL), 1, most).astype(int)
        drawn = (WORDS * generator.random(int(lengths.sum())) ** 3).astype(int).tolist()
        ends = np.cumsum(lengths).tolist()
        return [quote(" ".join(words[at] for at in drawn[end - n : end])) for n, end in zip(lengths.tolist(), ends, strict=True)]

    titles, nothing = pool(9, most=40), quote("")
    scraped = quote(HTML)
    for at, luck in enumerate(generator.random(POOL).tolist()):
        titles[at] = scraped if luck < SCRAPED else nothing if luck < SCRAPED + MISSING else titles[at]
    reviews = pool(4, most=12) if short else pool(45, most=1_000)
    return Texts(titles, pool(70, most=1_500), pool(12, most=60), reviews, pool(3, most=12))


def _pick(generator: np.random.Generator, values: list[str], n: int) -> list[str]:
    return [values[at] for at in generator.integers(len(values), size=n).tolist()]


def _joined(generator: np.random.Generator, values: list[str], n: int, *, most: int) -> list[str]:
    """For each of n lines up to `most` values that stand next to each other, with commas."""
    starts, counts = generator.integers(len(values) - most, size=n).tolist(), generator.integers(most + 1, size=n).tolist()
    return [", ".join(values[at : at + count]) for at, count in zip(starts, counts, strict=True)]


def _items(numbers: NDArray[np.int64]) -> list[int]:
    return (numbers.astype(np.uint64) * np.uint64(SCATTER_ITEM) % np.uint64(KEYS)).tolist()


def _users(numbers: NDArray[np.int64]) -> list[int]:
    return (numbers.astype(np.uint64) * np.uint64(SCATTER_USER) % np.uint64(KEYS)).tolist()


def _seconds(generator: np.random.Generator, n: int) -> list[int]:
    return (FIRST_SECOND + generator.integers(SECONDS, size=n)).tolist()


def _related(generator: np.random.Generator, n: int, *, most: int, quote: str) -> list[str]:
    """For each of n lines a list of up to `most` keys of other items."""
    keys = [f"{quote}B{item:09X}{quote}" for item in _items(np.arange(POOL))]
    return _joined(generator, keys, n, most=most)


def _metadata_2014(generator: np.random.Generator, numbers: NDArray[np.int64], texts: Texts) -> list[str]:
    n = len(numbers)
    values = zip(
        _items(numbers), _related(generator, n, most=40, quote="'"), _related(generator, n, most=8, quote="'"), _pick(generator, texts.titles, n),
        generator.integers(100, 30_000, n).tolist(), generator.integers(1, 1_000_000, n).tolist(), _items(numbers * 3),
        _pick(generator, texts.summaries, n), _pick(generator, texts.descriptions, n), strict=True,
    )  # fmt: skip
    return [
        f"{{'asin': 'B{item:09X}', 'related': {{'also_bought': [{bought}], 'also_viewed': [{viewed}]}}, 'title': {title}, 'price': {price / 100}, "
        f"'salesRank': {{'Musical Instruments': {rank}}}, 'imUrl': 'http://ecx.images-amazon.com/images/I/{picture:09X}._SY300_.jpg', "
        f"'brand': {brand}, 'categories': [['Musical Instruments', 'Accessories']], 'description': {description}}}"
        for item, bought, viewed, title, price, rank, picture, brand, description in values
    ]


def _metadata_2018(generator: np.random.Generator, numbers: NDArray[np.int64], texts: Texts) -> list[str]:
    address = "https://images-na.ssl-images-amazon.com/images/I/"
    pictures = [f'"imageURL": ["{address}{p:09X}._SR38,50_.jpg"], "imageURLHighRes": ["{address}{p:09X}.jpg"]' for p in _items(numbers * 3)]
    return _records_2018(generator, numbers, texts, pictures)


def _metadata_2018_early(generator: np.random.Generator, numbers: NDArray[np.int64], texts: Texts) -> list[str]:
    address = "https://images-na.ssl-images-amazon.com/images/I/"
    return _records_2018(generator, numbers, texts, [f'"image": ["{address}{p:09X}._SR38,50_.jpg"]' for p in _items(numbers * 3)])


def _records_2018(generator: np.random.Generator, numbers: NDArray[np.int64], texts: Texts, pictures: list[str]) -> list[str]:
    n = len(numbers)
    values = zip(
        _items(numbers), _pick(generator, texts.descriptions, n), _pick(generator, texts.titles, n), _related(generator, n, most=20, quote='"'),
        _pick(generator, texts.summaries, n), _joined(generator, texts.features, n, most=6), generator.integers(1, 1_000_000, n).tolist(),
        generator.integers(100, 30_000, n).tolist(), pictures, strict=True,
    )  # fmt: skip
    return [
        f'{{"category": ["Musical Instruments", "Accessories", "Cables &amp; Leads"], "tech1": "", "description": [{description}], "fit": "", '
        f'"title": {title}, "also_buy": [{bought}], "tech2": "", "brand": {brand}, "feature": [{feature}], '
        f'"rank": "{rank:,} in Musical Instruments (", "also_view": [], "details": {{"Shipping Weight:": "1 pounds"}}, '
        f'"main_cat": "Musical Instruments", "similar_item": "", "date": "", "price": "${price / 100}", "asin": "B{item:09X}", {picture}}}'
        for item, description, title, bought, brand, feature, rank, price, picture in values
    ]


def _metadata_2023(generator: np.random.Generator, numbers: NDArray[np.int64], texts: Texts) -> list[str]:
    n, address = len(numbers), "https://m.media-amazon.com/images/I/"
    largest = ["null" if luck < 0.3 else None for luck in generator.random(n).tolist()]
    values = zip(
        _items(numbers), _joined(generator, texts.descriptions, n, most=2), _pick(generator, texts.titles, n),
        _joined(generator, texts.features, n, most=6), generator.integers(1, 100_000, n).tolist(), _items(numbers * 3),
        _pick(generator, texts.summaries, n), generator.random(n).tolist(), largest, strict=True,
    )  # fmt: skip
    return [
        f'{{"main_category": "Musical Instruments", "title": {title}, "average_rating": 4.5, "rating_number": {n_ratings}, "features": [{feature}], '
        f'"description": [{description}], "price": {"null" if luck < 0.5 else 19.99}, "images": [{{"thumb": "{address}{picture:09X}._SX38_.jpg", '
        f'"large": "{address}{picture:09X}._SX300_.jpg", "variant": "MAIN", "hi_res": {none or json.dumps(f"{address}{picture:09X}.jpg")}}}], '
        f'"videos": [], "store": {store}, "categories": ["Musical Instruments", "Cables"], "details": {{"Item Weight": "1 pounds"}}, '
        f'"parent_asin": "B{item:09X}", "bought_together": null}}'
        for item, description, title, feature, n_ratings, picture, store, luck, none in values
    ]


def _reviews_2014(generator: np.random.Generator, users: NDArray[np.int64], items: NDArray[np.int64], texts: Texts) -> list[str]:
    return [
        f'{{"reviewerID": "A{user:013X}", "asin": "B{item:09X}", "reviewerName": "A reader", "helpful": [0, 0], "reviewText": {text}, '
        f'"overall": {stars}.0, "summary": {summary}, "unixReviewTime": {seconds}, "reviewTime": "02 28, 2014"}}'
        for user, item, text, summary, stars, seconds in _review_values(generator, users, items, texts)
    ]


def _reviews_2018(generator: np.random.Generator, users: NDArray[np.int64], items: NDArray[np.int64], texts: Texts) -> list[str]:
    return [
        f'{{"overall": {stars}.0, "verified": true, "reviewTime": "02 28, 2014", "reviewerID": "A{user:013X}", "asin": "B{item:09X}", '
        f'"reviewerName": "A reader", "reviewText": {text}, "summary": {summary}, "unixReviewTime": {seconds}}}'
        for user, item, text, summary, stars, seconds in _review_values(generator, users, items, texts)
    ]


def _reviews_2023(generator: np.random.Generator, users: NDArray[np.int64], items: NDArray[np.int64], texts: Texts) -> list[str]:
    return [
        f'{{"rating": {stars}.0, "title": {summary}, "text": {text}, "images": [], "asin": "B{item:09X}", "parent_asin": "B{item:09X}", '
        f'"user_id": "A{user:013X}", "timestamp": {seconds}123, "helpful_vote": 0, "verified_purchase": true}}'
        for user, item, text, summary, stars, seconds in _review_values(generator, users, items, texts)
    ]


def _review_values(
    generator: np.random.Generator, users: NDArray[np.int64], items: NDArray[np.int64], texts: Texts
) -> Iterator[tuple[int, int, str, str, int, int]]:
    n = len(users)
    return zip(
        _users(users), _items(items), _pick(generator, texts.reviews, n), _pick(generator, texts.summaries, n),
        generator.integers(1, 6, n).tolist(), _seconds(generator, n), strict=True,
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=int, choices=RELEASES, default=2018)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--reviews", type=int, default=200_000)
    parser.add_argument("--schema", choices=("early", "final"), default="final", help="of the 2018 metadata")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="not gzipped")
    parser.add_argument("--short", action="store_true", help="reviews of a few words")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    made = write(
        given.out, release=given.release, n_items=given.items, n_reviews=given.reviews, seed=given.seed, schema=given.schema, gzipped=not given.plain,
        short=given.short,
    )  # fmt: skip
    print(json.dumps({"metadata": str(made.metadata), "reviews": str(made.reviews)}))
