"""Run folders by hand for pages about them: logs and groups as well; and a page as a tree of its elements."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

import polars as pl
import small_runs

from milktrain.page import document, reading

#: Elements that have no end.
VOID = {"meta", "link", "br"}
RECALL = {"recall@20": [1.0, 0.5, 0.0, 0.0], "ndcg@20": [0.5, 0.25, 0.0, 0.0], "recall@10": [0.5, 0.5, 0.0, 0.0], "ndcg@10": [0.5, 0.0, 0.0, 0.0]}


def write(folder, *, epochs=30, best=20, better=1.0, groups=True, **of_run):
    """A run with everything; its metrics are those of `RECALL` times `better`."""
    of_run.setdefault("values", {name: [value * better for value in values] for name, values in RECALL.items()})
    told = {
        "epochs": epochs, "best_epoch": best, "seconds_per_epoch": 0.5, "seconds": 20.0, "fingerprint": "f" * 64, "weights_sha256": "w" * 64,
        "versions": {"milkprep": "0.1.0", "torch": "2.11.0"},
    }  # fmt: skip
    run = small_runs.write(folder, **told | of_run)
    rows = [
        {"epoch": n, "loss": 1 / n, "bpr": 0.5 / n, "seconds": 0.1} | ({"val_ndcg@10": n / 1000} if n % 10 == 0 else {}) for n in range(1, epochs + 1)
    ]
    (run / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if groups:
        told = [
            ("n_missing", "0", 0.4),
            ("n_missing", "1", 0.2),
            ("missing", "none", 0.4),
            ("missing", "visual", 0.2),
            ("user_interactions", "1-3", 0.3),
        ]
        numbers = {"n_users": 2, "n_items": 3, "n_relevant": 4}
        frame = [{"part": "test", "by": by, "group": name, "recall@20": value * better, "ndcg@20": value / 2} | numbers for by, name, value in told]
        frame += [row | {"part": "val", "recall@20": 0.9} for row in frame]  # of which a page says nothing
        pl.DataFrame(frame).write_parquet(run / "groups.parquet")
    return run


def several(folder):
    """Two models; one with three values of a setting, on two splits each."""
    for split in ("ftmt-0", "ftmt-1"):
        for lam in (0.1, 0.5, 2.0):
            write(folder, split=split, settings={"lam": lam}, better=0.6 + lam / 5)
        write(folder, split=split, model="duif", better=0.5)
    return folder


def page(folder, *, store=None, labels=None, folders=None):
    """The page about all runs of a folder, as text."""
    found, left_out = reading.read(folders or [file.parent for file in folder.glob("*/run.json")], labels=labels)
    return document.render(found, document.sections(found, store=store), left_out=left_out)


@dataclass
class Element:
    """An element, what it says of itself, and what is in it."""

    tag: str
    attributes: dict = field(default_factory=dict)
    inside: list = field(default_factory=list)

    @property
    def text(self):
        """All text in it, white space folded."""
        return " ".join("".join(each if isinstance(each, str) else f" {each.text} " for each in self.inside).split())

    def all(self, *tags):
        """Elements of these tags in it, in order; of any where none is named."""
        for each in self.inside:
            if isinstance(each, Element):
                if not tags or each.tag in tags:
                    yield each
                yield from each.all(*tags)

    def one(self, tag, says):
        """The only element of a tag whose text holds some words."""
        found = [each for each in self.all(tag) if says in each.text]
        assert len(found) == 1, f"{len(found)} {tag} say {says!r}"
        return found[0]


class _Tree(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = [Element("document")]

    def handle_starttag(self, tag, attrs):
        made = Element(tag, dict(attrs))
        assert len(made.attributes) == len(attrs), f"an attribute of {tag} is there twice"
        self.open[-1].inside.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].inside.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> ends {self.open[-1].tag}"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].inside.append(data)


def parsed(text):
    """A page as a tree; every element must end where it should."""
    tree = _Tree()
    tree.feed(text)
    tree.close()
    assert len(tree.open) == 1, f"{tree.open[-1].tag} does not end"
    return tree.open[0]


def table(tree, caption):
    """The rows of the first table of a caption, by the text of their heads; and the columns."""
    found = next(each for each in tree.all("table") if next(each.all("caption")).text.startswith(caption))
    columns = [cell.text for cell in next(found.all("thead")).all("th")]
    rows = [[cell.text for cell in row.all("th", "td")] for row in next(found.all("tbody")).all("tr")]
    return [dict(zip(columns, row, strict=True)) for row in rows]
