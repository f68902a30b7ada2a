"""Records of the generated catalogue, as the Amazon 2018 release has them: every key present, missing is `''`, `[]` or `{}`.

Titles and descriptions are made of words that are typical of the themes an item shows, among words that say nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Record = dict[str, Any]
T = TypeVar("T")

#: In the order of `demo_tastes.THEMES`.
WORDS = (
    ("Harbor", "Tide", "Coral", "Sailor", "Anchor", "Lighthouse", "Seashell", "Surf"),
    ("Moss", "Fern", "Oak", "Pine", "Woodland", "Acorn", "Mushroom", "Trail"),
    ("Dune", "Cactus", "Canyon", "Mesa", "Camel", "Oasis", "Scorpion", "Sandstone"),
    ("Skyline", "Subway", "Neon", "Rooftop", "Downtown", "Taxi", "Boulevard", "Skyscraper"),
    ("Snow", "Glacier", "Frost", "Sled", "Icicle", "Blizzard", "Mitten", "Aurora"),
    ("Oven", "Basil", "Skillet", "Butter", "Baker", "Pepper", "Recipe", "Whisk"),
)
PRODUCTS = ("Lamp", "Mug", "Poster", "Notebook", "Backpack", "Blanket", "Clock", "Puzzle", "Candle", "Cushion")
STYLES = ("Classic", "Little", "Modern", "Handmade", "Original", "Everyday", "Deluxe", "Simple")
BRANDS = ("Northwind", "Tailspin & Co", "Bluebell", "Fabrikam", "")
OPINIONS = ("Just as described.", "A gift for my sister, she loves it.", "Smaller than I thought.", "Would buy again.", "Nice.")
SUMMARIES = ("Five Stars", "Good", "As expected", "Lovely", "Okay")
STARS = (5.0, 5.0, 5.0, 4.0, 4.0, 3.0, 2.0, 1.0)
COLOURS = ("Blue", "Red", "Grey")
FIRST_DAY = datetime(2014, 1, 1, tzinfo=UTC)
DAYS = 1700
#: What stands in the place of a title where the page was scraped wrongly; the same junk in every such row.
SCRAPED_TITLE = '<span class="a-size-medium a-color-base a-text-normal" id="productTitle">'
SCRAPED_PRICE = ".a-section.a-spacing-mini{margin-bottom:6px!important}#price_feature_div{display:none}"
PICTURE_ADDRESS = "https://images.example/images/I/{asin}.jpg"


def metadata(asin: str, *, shown: NDArray[np.float64], picture: bool, rng: Generator) -> Record:
    """One metadata line in the final schema.

    Args:
        asin: the item's key.
        shown: (T,) weights of the themes its text shows, sum 1.
        picture: whether it has the address of one.
        rng: of everything else.
    """
    product = pick(PRODUCTS, rng)
    first, second, *others = _words(shown, rng, n=6)
    between = " &amp; " if rng.random() < 0.2 else " "
    sentences = [
        f"A {product.lower()} for everyone who likes {others[0].lower()} and {others[1].lower()}.",
        f"{pick(STYLES, rng)} design with {others[2].lower()}, {others[3].lower()} and a little patience.",
    ]
    addresses = [PICTURE_ADDRESS.format(asin=asin)] if picture else []
    return {
        "category": ["Demo", "Home &amp; Gifts"], "tech1": "", "description": sentences if rng.random() < 0.85 else [], "fit": "",
        "title": f"{pick(STYLES, rng)} {first}{between}{second} {product}", "also_buy": [], "tech2": "",
        "brand": pick(BRANDS, rng), "feature": [f"Weighs {rng.integers(1, 40)} ounces"] if rng.random() < 0.5 else [],
        "rank": f"{rng.integers(1, 90_000):,} in Demo (" if rng.random() < 0.5 else [], "also_view": [],
        "details": {"\n    Product Dimensions: \n    ": "4 x 4 x 3 inches", "ASIN: ": asin}, "main_cat": "Demo", "similar_item": "",
        "date": "", "price": SCRAPED_PRICE if rng.random() < 0.05 else f"${rng.uniform(3, 80):.2f}", "asin": asin,
        "imageURL": addresses, "imageURLHighRes": addresses,
    }  # fmt: skip


def review(user: str, asin: str, rng: Generator) -> Record:
    """One review line; some of its keys may be absent, as in the release."""
    written = FIRST_DAY + timedelta(days=int(rng.integers(DAYS)))
    record: Record = {
        "overall": pick(STARS, rng), "verified": bool(rng.random() < 0.8),
        "reviewTime": f"{written:%m} {written.day}, {written.year}", "reviewerID": user, "asin": asin,
    }  # fmt: skip
    if rng.random() < 0.3:
        record["style"] = {"Color:": f" {pick(COLOURS, rng)}"}
    record["reviewerName"] = "A reader"
    if rng.random() < 0.98:
        record["reviewText"] = pick(OPINIONS, rng)
    if rng.random() < 0.98:
        record["summary"] = pick(SUMMARIES, rng)
    record["unixReviewTime"] = int(written.timestamp())
    if rng.random() < 0.05:
        record["vote"] = str(rng.integers(2, 30))
    return record


def pick(options: Sequence[T], rng: Generator) -> T:
    """One of several, each as likely."""
    return options[int(rng.integers(len(options)))]


def _words(shown: NDArray[np.float64], rng: Generator, *, n: int) -> list[str]:
    """Distinct words, each of a theme drawn by `shown`."""
    found: dict[str, None] = {}
    while len(found) < n:
        found[pick(WORDS[rng.choice(len(WORDS), p=shown)], rng)] = None
    return list(found)
