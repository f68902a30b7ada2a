"""Short videos the whole way: what each item has is what could be embedded of it, and why it lacks the rest is said in words.

The first item is the paper's own example, a video with neither title nor sound: it has the visual modality only.
"""

import json

import pytest
from av_samples import write_video
from media_samples import tone
from typer.testing import CliRunner

import cli

ENCODERS = {"visual": "colour-layout", "audio": "log-mel", "text": "hashed-ngrams"}
TITLES = "mute,\nwhole,A walk by the sea\nbroken,\ntitled,Only words\n"


def run(*arguments) -> str:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module", params=["folder", "microlens"])
def store(request, tmp_path_factory):
    """A store of four items, pulled and extracted: a video without sound, one with sound and title, a broken one, a title alone."""
    place = tmp_path_factory.mktemp(request.param)
    names = {"folder": ("interactions.csv", "items.csv", "video"), "microlens": ("tiny_pairs.csv", "tiny_titles.csv", "tiny_videos")}
    pairs, titles, videos = (place / "shop" / name for name in names[request.param])
    videos.mkdir(parents=True)
    pairs.write_text("user,item,timestamp\n" + "".join(f"u{n},{item},{n}\n" for n, item in enumerate(["mute", "whole", "broken", "titled"])))
    titles.write_text("item,title\n" + TITLES)
    write_video(videos / "mute.mp4")
    whole = write_video(videos / "whole.mp4", sound=tone(1.0)).read_bytes()
    (videos / "broken.mp4").write_bytes(whole[: len(whole) // 2])
    path = place / "s.duckdb"
    run("pull", request.param, place / "shop", "--store", path)
    for modality, encoder in ENCODERS.items():
        run("extract", "--modality", modality, "--encoder", encoder, "--store", path)
    return path


def test_an_item_has_exactly_what_could_be_embedded_of_it(store):
    asked = 'SELECT item_key, visual, audio, "text" FROM modality_availability'
    rows = json.loads(run("sql", asked, "--store", store, "--format", "json"))
    assert {row["item_key"]: {name for name in ENCODERS if row[name]} for row in rows} == {
        "mute": {"visual"}, "whole": {"visual", "audio", "text"}, "broken": set(), "titled": {"text"},
    }  # fmt: skip
    for modality in ENCODERS:
        asked = f"SELECT item_key FROM features_{modality} ORDER BY 1"
        vectors = {row["item_key"] for row in json.loads(run("sql", asked, "--store", store, "--format", "json"))}
        assert vectors == {row["item_key"] for row in rows if row[modality]}
    run("check", "--store", store)


def test_the_modalities_it_lacks_say_why(store):
    asked = "SELECT item_key, visual_reason, audio_reason, text_reason FROM modality_availability WHERE item_key <> 'whole'"
    found = {row.pop("item_key"): tuple(row.values()) for row in json.loads(run("sql", asked, "--store", store, "--format", "json"))}
    no_title = found["mute"][2]
    assert no_title.startswith("no title in ")
    assert found["mute"] == (None, "the file has no sound track", no_title)
    assert found["titled"] == ("no picture and no video", "no sound and no video", None)
    seen, heard, _ = found["broken"]
    assert seen == "the video is cut short: its header states more than can be read"
    assert heard.startswith("the sound is broken")
    assert found["broken"][2] == no_title


def test_coverage_counts_the_same(store):
    counted = json.loads(run("coverage", "--store", store, "--json"))
    assert {row["modality"]: (row["has"], row["lacks"]) for row in counted["modalities"]} == {"visual": (2, 2), "text": (2, 2), "audio": (1, 3)}
    assert {row["combination"]: row["items"] for row in counted["combinations"]} == {
        "visual only": 1, "visual + text + audio": 1, "text only": 1, "none": 1,
    }  # fmt: skip
