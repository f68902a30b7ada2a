"""A small input for every source and each of its variants, every kind of bad line in it; what is read and taken is counted by hand.

To have a source or a layout held to what all promise: one entry in `SAMPLES`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from sample_files import JsonLists, Lines, Rows, Sample, npy, texts

from milkprep.sources import PullReport, amazon, folder, microlens, prepared, tiktok
from schemas.contracts import Modality

REVIEWS = {
    2014: lambda user, item, seconds, stars: {"reviewerID": user, "asin": item, "helpful": [0, 1], "overall": stars, "unixReviewTime": seconds},
    2018: lambda user, item, seconds, stars: {"overall": stars, "verified": True, "reviewerID": user, "asin": item, "unixReviewTime": seconds},
    2023: lambda user, item, seconds, stars: {
        "rating": stars, "asin": "V", "parent_asin": item, "user_id": user, "timestamp": None if seconds is None else 1000 * seconds,
    },
}  # fmt: skip
ITEMS: dict[str, Callable[[str | None], bytes]] = {
    "2014": lambda key: repr({"asin": key, "title": f"Item {key}", "categories": [["Toys"]], "imUrl": f"http://e.org/{key}.jpg"}).encode(),
    "2018 early": lambda key: json.dumps({
        "category": ["Cards"], "description": ["Of paper"], "title": f"Item {key}", "image": [f"http://e.org/{key}._SS40_.jpg"], "brand": "",
        "feature": [], "asin": key,
    }).encode(),
    "2018": lambda key: json.dumps({
        "category": ["Cards"], "description": [], "title": f"Item {key}", "brand": "B &amp; Co", "imageURL": [], "imageURLHighRes": [], "asin": key,
    }).encode(),
    "2023": lambda key: json.dumps({
        "title": f"Item {key}", "description": ["Soft"], "images": [{"large": f"http://e.org/{key}.jpg", "hi_res": None}], "store": None,
        "categories": [], "parent_asin": key,
    }).encode(),
}  # fmt: skip


def of_amazon(schema: str) -> Sample:
    """Two users and two items are left of a 2-core; of the metadata, the lines of these items."""

    def review(user: str | None = "U1", item: str = "A", seconds: int | None = 1_400_000_000, stars: Any = 4.0) -> bytes:
        return json.dumps(REVIEWS[int(schema[:4])](user, item, seconds, stars)).encode()

    item = ITEMS[schema]
    weak = [review("U3"), review("U3", "C")]
    refused = [review("U1", "A"), review("U1", "B", 1_500_000_000), review(stars="five"), review(None), b'{"asin": "\xff"}', b"", b"{"]
    reviews = [review("U1", "A"), review("U1", "B"), review("U2", "A", None), review("U2", "B", stars=None), *weak, *refused]
    items = [item("A"), item("B"), item("C"), item("D"), item("A"), item(None), item("E")[:-4], b"", b"\xff"]

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        return amazon.pull(store, metadata=place / "meta.json", reviews=place / "reviews.json", core=2, **options)

    files = {"meta.json": Lines(tuple(items)), "reviews.json": Lines(tuple(reviews))}
    return Sample("amazon", files, "reviews.json", {"meta.json": (9, 2), "reviews.json": (13, 4)}, pull)


def of_prepared() -> Sample:
    """Four items with vectors and a table; one vector of zeros, one that is no number."""
    pairs = texts("userID\titemID\trating", "0\t0\t5", "0\t1\t3", "7\t2\t4", "7\t0\t1", "0\t0\t5", "x\t1\t3", "0\t1", "", "\t1\t2", header=1)
    items = texts(*(json.dumps({"itemID": n, "asin": f"K{n}", "title": f"Item {n}"}) for n in range(4)))
    files = {"toy.inter": pairs, "image.npy": npy([[1, 2], [0, 0], [3, float("nan")], [4, 5]]), "items.jsonl": items}

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        features = {Modality.VISUAL: place / "image.npy"}
        return prepared.pull(store, interactions=place / "toy.inter", features=features, items=place / "items.jsonl", **options)

    return Sample("prepared", files, "toy.inter", {"toy.inter": (9, 4), "image.npy": (4, 2), "items.jsonl": (4, 4)}, pull)


def of_mmrec() -> Sample:
    """A folder by the names of MMRec: two of three items have something to see."""
    pairs = texts("userID\titemID\tx_label", "0\t0\t0", "0\t1\t0", "7\t2\t1", "0\t0\t0", "x\t1\t0", "", header=1)
    files = {"toy.inter": pairs, "image_feat.npy": npy([[1, 2], [0, 0], [4, 5]])}

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        return prepared.pull_folder(store, place, layout="mmrec", **options)

    return Sample("prepared", files, "toy.inter", {"toy.inter": (6, 3), "image_feat.npy": (3, 2)}, pull, optional={"image_feat.npy": ("gone",)})


def of_milk() -> Sample:
    """Lists of three parts: item 1 is validation's, item 2 test's; an entry is the unit that is counted."""
    files = {
        "train.txt": texts("0 0", "1 0 0", "x 1", "", "2 "),
        "val.txt": texts("0 1", "1 1 0"),
        "test.txt": texts("0 2"),
        "image_feat.npy": npy([[1, 2], [0, 0], [4, 5]]),
        "cold_item_index.npy": npy([1, 2], dtype="int64"),
    }
    taken = {"train.txt": (5, 2), "val.txt": (3, 2), "test.txt": (1, 1), "image_feat.npy": (3, 2)}

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        return prepared.pull_folder(store, place, layout="milk", **options)

    optional = {"image_feat.npy": ("gone",), "cold_item_index.npy": ("gone",)}
    return Sample("prepared", files, "train.txt", taken, pull, optional=optional)


def of_lattice() -> Sample:
    """The same pairs as JSON."""
    lists = {"train": (("0", (0,)), ("1", (0, 0, -1)), ("x", (1,))), "val": (("0", (1,)), ("1", (1,))), "test": (("0", (2,)),)}
    files: dict[str, Any] = {f"{part}.json": JsonLists(users) for part, users in lists.items()}
    files["image_feat.npy"] = npy([[1, 2], [0, 0], [4, 5]])
    taken = {"train.json": (5, 2), "val.json": (2, 2), "test.json": (1, 1), "image_feat.npy": (3, 2)}

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        return prepared.pull_folder(store, place, layout="lattice", **options)

    return Sample("prepared", files, "train.json", taken, pull, optional={"image_feat.npy": ("gone",), "val.json": ("gone",)})


def of_recbole() -> Sample:
    """Keys are texts; of four vectors one is of another width and one of nobody."""
    pairs = texts("user_id:token\titem_id:token\trating:float", "ann\tA\t5", "ann\tB\t4", "ben\tC\t", "ann\tA\t5", "\tA\t1", "ben\tA\tx", header=1)
    about = texts("item_id:token\ttitle:token_seq", "A\tRed card", "B\t", "A\tRed card", "\tnobody", "D\tLonely", header=1)
    embedded = texts("iid:token\titem_emb:float_seq", "A\t1 2", "B\t3", "Z\t5 6", "D\t7 8", header=1)
    files = {"toy.inter": pairs, "toy.item": about, "toy.itememb": embedded}
    taken = {"toy.inter": (6, 3), "toy.item": (5, 3), "toy.itememb": (4, 2)}

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        return prepared.pull_folder(store, place, layout="recbole", embeds=Modality.VISUAL, **options)

    return Sample("prepared", files, "toy.inter", taken, pull, optional={"toy.item": ("gone",), "toy.itememb": ("gone",)})


def of_tiktok() -> Sample:
    """Four videos are finished, one of them without anything said of it."""

    def view(user: object, item: object, finish: int = 1) -> str:
        return "\t".join(map(str, [user, 3, item, 7, -1, 0, finish, 0, -1, 5, 53_000_654_898, 9]))

    views = texts(view(1, 10), view(1, 11), view(2, 10), view(2, 12), view(2, 2), view(3, 12, 0), view(1, 10), view("x", 1), "", "1\t2")
    seen = [{"item_id": n, "video_feature_dim_128": [n] * 128} for n in (10, 11, 99)]
    seen += [{"item_id": 12, "video_feature_dim_128": [1.0] * 3}, {"item_id": 2, "video_feature_dim_128": [0.0] * 128}]
    heard = [{"item_id": n, "audio_feature_128_dim": [n] * 128} for n in (10, 10)]
    words = [{"item_id": n, "title_features": {str(word): 1 for word in range(n)}} for n in (10, 11, 12, 99)] + [{"title_features": {}}]
    faces = [{"item_id": 10, "face_attrs": []}]
    files = {
        "views.txt": views,
        "titles.txt": texts(*map(json.dumps, words), "{"),
        "video.txt": texts(*map(json.dumps, seen)),
        "audio.txt": texts(*map(json.dumps, heard), ""),
        "faces.txt": texts(*map(json.dumps, faces)),
    }
    taken = {"views.txt": (10, 5), "titles.txt": (6, 3), "video.txt": (5, 2), "audio.txt": (3, 1), "faces.txt": (1, 1)}

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        parts = {role: place / f"{role}.txt" for role in ("titles", "video", "audio", "faces")}
        return tiktok.pull(store, interactions=place / "views.txt", **parts, text_width=2, core=0, **options)

    return Sample("tiktok", files, "views.txt", taken, pull)


def of_microlens() -> Sample:
    """Two videos with a title and a cover or not; a third that nobody commented on."""
    pairs = texts("user,item,timestamp", "1,10,1583378629552", "1,11,1583378629553", "2,10,1583378629", "2,10,1583378600", "3", "x,10,soon", header=1)
    titles = texts("item,title", "10,One, two", "11,Rain", "12,Lonely", "11,Rain", ",Nobody", header=1)
    files = {"m_pairs.csv": pairs, "m_titles.csv": titles}

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        named = microlens.Files(place / "m_pairs.csv", place / "m_titles.csv", covers=place / "covers")
        return microlens.pull(store, files=named, **options)

    return Sample("microlens", files, "m_pairs.csv", {"m_pairs.csv": (6, 3), "m_titles.csv": (5, 2)}, pull, ("covers/10.jpg", "covers/77.jpg"))


PAIRS = [("u1", "a", "5"), ("u1", "b", "4"), ("u2", "a", ""), ("u1", "a", "5"), ("u2", "b", "five"), ("", "b", "2"), ("u3", "", "2")]
SHOP = [("a", "Apple", "http://e.org/a.jpg"), ("b", "Bread", ""), ("c", "New", "gone.jpg"), ("", "Nobody", ""), ("a", "Apple", "http://e.org/a.jpg")]
PAIR_NAMES, SHOP_NAMES = ("user", "item", "rating"), ("item", "title", "image")


def of_folder(form: str) -> Sample:
    """The same catalogue in each format: three of seven pairs are taken, and three of five items."""

    def written(rows: list[tuple[str, ...]], names: tuple[str, ...]) -> Lines | Rows:
        if form == "parquet":
            return Rows(pl.DataFrame(rows, schema=names, orient="row"))
        if form == "jsonl":
            return texts(*(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
        between = {"csv": ",", "tsv": "\t"}[form]
        return texts(*(between.join(row) for row in [names, *rows]), header=1)

    files = {f"interactions.{form}": written(PAIRS, PAIR_NAMES), f"items.{form}": written(SHOP, SHOP_NAMES)}

    def pull(place: Path, store: Path, **options: Any) -> PullReport:
        return folder.pull(store, folder=place, **options)

    counted = {f"interactions.{form}": (7, 3), f"items.{form}": (5, 3)}
    return Sample("folder", files, f"interactions.{form}", counted, pull, ("images/b.png", "audio/a.wav"), {f"items.{form}": ("gone",)})


SAMPLES = {
    **{f"amazon {schema}": of_amazon(schema) for schema in ITEMS},
    "prepared": of_prepared(),
    "prepared mmrec": of_mmrec(),
    "prepared milk": of_milk(),
    "prepared lattice": of_lattice(),
    "prepared recbole": of_recbole(),
    "tiktok": of_tiktok(),
    "microlens": of_microlens(),
    **{f"folder {form}": of_folder(form) for form in ("csv", "tsv", "jsonl", "parquet")},
}
