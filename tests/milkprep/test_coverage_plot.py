"""Coverage as a picture: complete or not there, readable for whatever texts a store holds."""

import re

import planted
import pytest
from PIL import Image
from typer.testing import CliRunner

import cli
from milkprep import splits
from milkprep.inspection import coverage, coverage_plot
from schemas import pictures
from schemas.contracts import Setting
from schemas.errors import BadValue
from schemas.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store that lacks something of each modality, with a split."""
    path = planted.fill(tmp_path_factory.mktemp("plot") / "s.duckdb", n_items=60)
    with Store(path, mode="write") as opened:
        opened.run("DELETE FROM feature_rows WHERE (item_idx + feature_set_id) % 5 = 0 OR item_idx % 3 = 0 AND feature_set_id = 2 OR item_idx = 7")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


def draw(store, png, *, split=None):
    coverage_plot.write(coverage.count(store, split=split), png, title="Coverage")
    with Image.open(png) as picture:
        assert picture.format == "PNG"
        return picture.convert("RGB")


def colours(picture):
    return {"#{:02X}{:02X}{:02X}".format(*colour) for _, colour in picture.getcolors(1 << 24)}


def test_the_picture_shows_every_modality_and_what_is_missing(store, tmp_path):
    shown = colours(draw(store, tmp_path / "a.png"))
    assert {*coverage_plot.COLOURS.values(), coverage_plot.SEVERAL, coverage_plot.NOTHING} <= shown


def test_a_split_adds_a_panel(store, tmp_path):
    without, with_split = draw(store, tmp_path / "a.png"), draw(store, tmp_path / "b.png", split="ftmt-0")
    assert with_split.size[0] == without.size[0]
    assert with_split.size[1] > without.size[1]


def test_the_same_coverage_is_the_same_file_and_overwrites_what_is_there(store, tmp_path):
    draw(store, tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"something else")
    draw(store, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "reason", ["costs $5 or $x_{", "\\frac{1}{", "猫 🎁", "\x1b[31m\x07\n\n", "https://a.example/" + "x" * 300, "word " * 200, " ", "<b>%s{0}"],
    ids=["dollars", "a formula", "another script", "control characters", "an address", "many words", "nothing", "markup"],
)  # fmt: skip
def test_reasons_are_drawn_as_they_are(store, tmp_path, reason):
    changed = tmp_path / "s.duckdb"
    changed.write_bytes(store.read_bytes())
    with Store(changed, mode="write") as opened:
        opened.run("UPDATE assets SET status = 'absent', reason = $reason", reason=reason)
    draw(changed, tmp_path / "a.png")


def test_where_nothing_is_missing_the_picture_says_so(tmp_path):
    draw(planted.fill(tmp_path / "s.duckdb", n_items=60), tmp_path / "a.png")


def test_a_long_text_takes_two_short_lines():
    assert coverage_plot._label("one two " * 40).count("\n") == 1
    assert max(map(len, coverage_plot._label("x" * 500).split("\n"))) <= coverage_plot.LABEL_COLUMNS
    assert coverage_plot._label("") == ""


def test_a_failure_half_way_leaves_nothing_and_keeps_the_picture_before(store, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def fails(figure, file, **options):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(file))

    before = tmp_path / "a.png"
    before.write_bytes(b"before")
    monkeypatch.setattr(Figure, "savefig", fails)
    result = CliRunner().invoke(cli.app, ["coverage", "--store", str(store), "--png", str(before)])
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert result.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert before.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("name", "says"), [("a.pdf", "ends otherwise"), ("a", "ends otherwise"), ("no/a.png", "lies in no folder"), ("folder.png", "a folder")]
)
def test_a_file_that_cannot_be_meant_is_refused(store, tmp_path, name, says):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadValue, match=re.escape(says)):
        pictures.refuse(tmp_path / name, store=store)


def test_the_store_itself_is_no_place_for_a_picture(tmp_path):
    with pytest.raises(BadValue, match="is the store itself"):
        pictures.refuse(tmp_path / "s.png", store=tmp_path / "s.png")


def test_the_command_draws_and_says_where(store, tmp_path):
    result = CliRunner().invoke(cli.app, ["coverage", "--store", str(store), "--png", str(tmp_path / "a.png"), "--split", "ftmt-0"])
    assert result.exit_code == 0
    assert "Drawn in" in result.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
