"""Media of somebody's own catalogue: in folders, in columns, and where neither may lead."""

import numpy as np
import pytest
from av_samples import write_video
from media_samples import tone, write_picture
from own_folders import assets, media, pull, write
from raw_files import count, table

from milkprep.decode import audio
from milkprep.extract import extract
from milkprep.pull import column_media, media_folder
from schemas.contracts import AssetStatus, Modality
from schemas.errors import DataError
from schemas.reporting import Silent

PENDING = ("pending", "file not read yet")


def test_columns_come_first_then_files_named_by_key_then_videos_and_no_file_twice(tmp_path):
    items = "item,image,video\na,pics/1.jpg|images/a.png,clips/a.mov\nb,https://shop.example/b.jpg,\n"
    shop = write(tmp_path / "shop", items=items)
    media(shop, "pics/1.jpg", "images/a.jpg", "images/a.png", "video/a.mp4", "clips/a.mov", "images/stranger.gif")
    report = pull(tmp_path, shop)
    places = ["pics/1.jpg", "images/a.png", "images/a.jpg", "clips/a.mov", "video/a.mp4"]
    assert assets(tmp_path, "visual") == [
        *(("a", position, str(shop / place), *PENDING) for position, place in enumerate(places)),
        ("b", 0, "https://shop.example/b.jpg", "not_fetched", "address not fetched"),
    ]
    assert assets(tmp_path, "audio") == [
        ("a", 0, str(shop / "clips/a.mov"), *PENDING),
        ("a", 1, str(shop / "video/a.mp4"), *PENDING),
        ("b", 0, "", "absent", "no sound and no video"),
    ]
    assert count(report, "media", "media_without_item") == 1


def test_every_file_and_address_that_is_not_taken_is_counted_by_its_rule(tmp_path):
    items = "item,image\na,images/shared.jpg|images/scan.bmp|ftp://shop.example/a.jpg|data:x\nb,pics|gone.jpg|../x.jpg\nc,images/of-c.jpg\n"
    shop = write(tmp_path / "shop", items=items, interactions="user,item\nu,a\nu,b\n")
    names = ("shared.jpg", "scan.bmp", "a.jpg", "stranger.jpg", "photo.tiff", "noending", ".hidden", "of-c.jpg")
    media(shop, *(f"images/{name}" for name in names), "pics/x.jpg", "audio/a.txt", "video/stranger.mp4")
    (shop / "images" / "folder").mkdir()
    report = pull(tmp_path, shop)
    counted = {"without_item": 2, "unknown_ending": 3, "no_address": 2, "not_ordinary": 1, "not_there": 1, "outside": 1}
    assert {rule: count(report, "media", f"media_{rule}") for rule in counted} == counted
    report = pull(tmp_path, shop, keep_all_items=False, replace=True)
    assert count(report, "media", "media_without_item") == 3  # who names of-c.jpg is not taken


def test_a_file_named_by_key_stands_for_the_addresses_of_its_item(tmp_path):
    shop = write(tmp_path / "shop", items="item,image\na,https://shop.example/a.jpg\nb,https://shop.example/b.jpg\n")
    media(shop, "images/a.jpg")
    pull(tmp_path, shop)
    assert [(key, location) for key, _, location, *_ in assets(tmp_path, "visual")] == [
        ("a", str(shop / "images/a.jpg")),
        ("b", "https://shop.example/b.jpg"),
    ]


def test_an_item_with_its_own_sound_needs_none_of_its_video(tmp_path):
    shop = write(tmp_path / "shop", items="item,audio\na,sounds/1.wav\nb,gone.wav\n")
    media(shop, "sounds/1.wav", "video/a.mp4", "video/b.webm")
    pull(tmp_path, shop)
    assert [(key, location, status) for key, _, location, status, _ in assets(tmp_path, "audio")] == [
        ("a", str(shop / "sounds/1.wav"), "pending"),
        ("b", "gone.wav", "absent"),
        ("b", str(shop / "video/b.webm"), "pending"),
    ]


HOSTILE = ["../secret.jpg", "pics/../../secret.jpg", "/etc/hostname", "..\\secret.jpg", "C:\\x.jpg", "out.jpg", "away/secret.jpg", "c:x.jpg"]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leads_out_of_the_folder_is_an_asset_that_says_so(tmp_path, path):
    media(tmp_path, "secret.jpg")
    shop = write(tmp_path / "shop", items=f"item,image\na,{path}\nb,\n")
    (shop / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (shop / "away").symlink_to(tmp_path)
    report = pull(tmp_path, shop)
    assert assets(tmp_path, "visual")[0] == ("a", 0, path, "absent", "path outside the folder")
    assert count(report, "media", "media_outside") == 1
    assert table(tmp_path, "SELECT count(*) FROM assets WHERE content_sha256 IS NOT NULL AND modality <> 'text'") == [(0,)]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("gone.jpg", "there is no such file in the folder"),
        ("x" * 5000, "there is no such file in the folder"),
        ("pics", "not an ordinary file"),
        ("ftp://shop.example/a.jpg", "neither a path nor an http or https address"),
        ("file:///etc/hostname", "neither a path nor an http or https address"),
        ("data:image/png;base64,AAAA", "neither a path nor an http or https address"),
        ("https://shop.example/no-img-sm.gif", "only a 'no image' placeholder"),
    ],
)
def test_what_is_no_file_and_no_address_is_absent_with_its_reason(tmp_path, path, reason):
    (tmp_path / "pics").mkdir()
    location, status, words = column_media.located(path, root=tmp_path)
    assert (status, words) == (AssetStatus.ABSENT, reason)
    assert location == path[:500]


def test_files_named_by_key_are_refused_where_a_link_leads_out(tmp_path):
    media(tmp_path, "secret.jpg", "elsewhere/a.wav")
    shop = write(tmp_path / "shop")
    media(shop, "images/b.jpg")
    (shop / "images" / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    (shop / "images" / "b.png").symlink_to(shop / "images" / "b.jpg")  # stays inside
    (shop / "audio").symlink_to(tmp_path / "elsewhere")
    pull(tmp_path, shop)
    assert [(key, status, reason) for key, _, _, status, reason in assets(tmp_path, "visual")] == [
        ("a", "absent", "path outside the folder"), ("b", *PENDING), ("b", *PENDING),
    ]  # fmt: skip
    assert [(key, reason) for key, _, _, _, reason in assets(tmp_path, "audio")] == [("a", "path outside the folder"), ("b", "no sound and no video")]


def test_another_picture_under_the_same_name_is_another_pull(tmp_path):
    shop = write(tmp_path / "shop", items="item,image\na,pics/a.jpg\nb,\n")
    media(shop, "pics/a.jpg")
    pull(tmp_path, shop)
    assert not pull(tmp_path, shop).changed
    (shop / "pics" / "a.jpg").write_bytes(b"another")
    with pytest.raises(DataError, match="pictures, sound or video"):
        pull(tmp_path, shop)
    (shop / "pics" / "a.jpg").unlink()
    with pytest.raises(DataError, match="pictures, sound or video"):
        pull(tmp_path, shop)


def test_a_video_beside_amazon_files_is_visual_content_and_sound(tmp_path):
    media(tmp_path, "images/I1.jpg", "audio/I2.wav", "video/I1.mp4", "video/I2.mp4")
    files = media_folder.read(tmp_path, reporter=Silent()).files
    assert files.select("item_key", "modality", "position").sort("modality", "item_key", "position").rows() == [
        ("I1", "audio", 0), ("I2", "audio", 0), ("I1", "visual", 0), ("I1", "visual", 1), ("I2", "visual", 0),
    ]  # fmt: skip
    assert [location[-6:] for location in files.filter(files["modality"] == "visual")["location"]] == ["I1.jpg", "I1.mp4", "I2.mp4"]


def test_a_video_is_embedded_as_picture_and_as_sound(tmp_path):
    shop = write(tmp_path / "shop")
    (shop / "video").mkdir()
    (shop / "images").mkdir()
    write_video(shop / "video" / "a.mp4", sound=tone(1.0))
    write_video(shop / "video" / "b.mp4")
    write_picture(shop / "images" / "b.png")
    pull(tmp_path, shop)
    extract(tmp_path / "s.duckdb", modality=Modality.AUDIO, encoder="log-mel", reporter=Silent())
    extract(tmp_path / "s.duckdb", modality=Modality.VISUAL, encoder="colour-layout", reporter=Silent())
    assert table(tmp_path, "SELECT item_key, visual, visual_reason, audio, audio_reason FROM modality_availability ORDER BY 1") == [
        ("a", True, None, True, None),
        ("b", True, None, False, "the file has no sound track"),
    ]


def test_the_sound_of_a_video_is_that_of_its_track(tmp_path):
    found = audio.read_sound(write_video(tmp_path / "a.mp4", sound=tone(1.0)))
    samples = audio.at_rate(found, 16_000)
    spectrum = np.abs(np.fft.rfft(samples[:16_000]))
    assert abs(int(spectrum.argmax()) - 440) <= 1  # one second: a bin a hertz
