"""Local pictures and audio: matched to items by name, never by a path made from a key."""

import os
import shutil
import sys

import pytest
from raw_files import count, metadata, pull_amazon, review, table

from milkprep.pull import media_folder
from schemas.errors import DataError
from schemas.reporting import Silent


@pytest.fixture
def media(tmp_path):
    """Two pictures of I1, audio of I2, a file of no item, and files that are no media."""
    folder = tmp_path / "media"
    for name in ("images/I1.jpg", "images/I1.PNG", "images/stranger.webp", "images/I2.txt", "audio/I2.wav", "audio/I1.jpg", "secret.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "images" / "I3.jpg").mkdir()
    return folder


def assets(folder, modality):
    """(item key, position, location, status, reason) of a modality."""
    return table(
        folder,
        f"SELECT item_key, position, location, status, reason FROM assets JOIN items USING (item_idx) WHERE modality = '{modality}' ORDER BY ALL",
    )


def test_files_replace_the_addresses_of_their_item_and_of_no_other(tmp_path, media):
    items = [metadata("I1", image=["a"]), metadata("I2", image=["b"]), metadata("I3")]
    report = pull_amazon(tmp_path, items, [review("U1", f"I{i}") for i in (1, 2, 3)], media=media)
    assert assets(tmp_path, "visual") == [
        ("I1", 0, str(media / "images" / "I1.PNG"), "pending", "file not read yet"),
        ("I1", 1, str(media / "images" / "I1.jpg"), "pending", "file not read yet"),
        ("I2", 0, "b", "not_fetched", "address not fetched"),
        ("I3", 0, "", "absent", "no picture address in the metadata"),
    ]
    assert assets(tmp_path, "audio") == [
        ("I1", 0, "", "absent", "no audio file"),
        ("I2", 0, str(media / "audio" / "I2.wav"), "pending", "file not read yet"),
        ("I3", 0, "", "absent", "no audio file"),
    ]
    assert count(report, "media", "media_without_item") == 1


def test_an_item_outside_the_metadata_has_its_picture_too(tmp_path, media):
    pull_amazon(tmp_path, [metadata("I2")], [review("U1", "I1")], media=media)
    assert [(key, status) for key, _, _, status, _ in assets(tmp_path, "visual")] == [("I1", "pending"), ("I1", "pending")]


def test_a_key_that_looks_like_a_path_reaches_no_file(tmp_path, media):
    keys = ["../secret", str(media / "images" / "I1"), "images/I1", "I1.jpg", "*", ""]
    pull_amazon(tmp_path, [metadata("I2")], [review("U1", key) for key in ("I2", *keys)], media=media)
    assert [key for key, _, _, status, _ in assets(tmp_path, "visual") if status == "pending"] == []


def test_a_folder_with_pictures_only_is_enough(tmp_path, media):
    for file in (media / "audio").iterdir():
        file.unlink()
    (media / "audio").rmdir()
    found = media_folder.read(media, reporter=Silent())
    assert found.files.select("item_key", "position").rows() == [("I1", 0), ("I1", 1), ("stranger", 0)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_a_file_name_that_is_no_text_belongs_to_no_item(tmp_path, media):
    (media / "images" / os.fsdecode(b"\xff.jpg")).touch()
    assert media_folder.read(media, reporter=Silent()).files.height == 4


def test_another_picture_makes_another_pull(tmp_path, media):
    arguments = ([metadata("I1")], [review()])
    assert pull_amazon(tmp_path, *arguments, media=media).changed
    assert not pull_amazon(tmp_path, *arguments, media=media).changed
    (media / "images" / "I1.jpg").write_bytes(b"another and longer picture")
    with pytest.raises(DataError, match=r"already holds amazon-2018.*pictures, sound or video beside the raw files changed"):
        pull_amazon(tmp_path, *arguments, media=media)


def test_times_of_change_and_a_copy_in_the_same_place_make_no_other_pull(tmp_path, media):
    arguments = ([metadata("I1")], [review()])
    pull_amazon(tmp_path, *arguments, media=media)
    for file in (media / "images").iterdir():
        os.utime(file, (1, 1))
    assert not pull_amazon(tmp_path, *arguments, media=media).changed
    shutil.copytree(media, tmp_path / "copy")
    shutil.rmtree(media)
    (tmp_path / "copy").rename(media)
    assert not pull_amazon(tmp_path, *arguments, media=media).changed


def test_another_picture_of_the_same_size_and_time_makes_another_pull(tmp_path, media):
    arguments, picture = ([metadata("I1")], [review()]), media / "images" / "I1.jpg"
    pull_amazon(tmp_path, *arguments, media=media)
    details = picture.stat()
    picture.write_bytes(picture.read_bytes()[::-1])
    os.utime(picture, ns=(details.st_atime_ns, details.st_mtime_ns))
    with pytest.raises(DataError, match=r"already holds amazon-2018.*pictures, sound or video beside the raw files changed"):
        pull_amazon(tmp_path, *arguments, media=media)


def test_media_at_another_place_make_another_pull_as_the_store_holds_their_place(tmp_path, media):
    arguments = ([metadata("I1")], [review()])
    pull_amazon(tmp_path, *arguments, media=media)
    shutil.copytree(media, tmp_path / "copy")
    with pytest.raises(DataError, match=r"already holds amazon-2018, of another pull: media was .*/media and is .*/copy\."):
        pull_amazon(tmp_path, *arguments, media=tmp_path / "copy")


def test_a_picture_that_cannot_be_read_is_listed_without_a_digest(tmp_path, media, monkeypatch):
    def refused(file):
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(media_folder.fingerprint, "of_file", refused)
    found = media_folder.read(media, reporter=Silent())
    assert found.listing[0] == ["images", "I1.PNG", None]
    assert found.files.height == 4
