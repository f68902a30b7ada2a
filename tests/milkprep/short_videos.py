"""Files of the ICME 2019 short-video challenge, written by hand in the organisers' format."""

import json
from pathlib import Path

from raw_files import write_lines

from milkprep.sources import PullReport, tiktok
from schemas.reporting import Silent

NAMES = {
    "titles": "track2_title.txt",
    "video": "track2_video_features.txt",
    "audio": "track2_audio_features.txt",
    "faces": "track2_face_attrs.txt",
}


def view(user=1, item=10, *, finish=1, like=0) -> bytes:
    """A line of interactions; -1 stands for what is not known."""
    return "\t".join(map(str, [user, 3, item, 7, -1, 0, finish, like, -1, 5, 53_000_654_898, 9])).encode()


def title(item, words) -> bytes:
    """A line of titles."""
    return json.dumps({"item_id": item, "title_features": {str(word): n for word, n in words.items()}}).encode()


def video(item, values) -> bytes:
    """A line of what is seen; a number stands for 128 of it."""
    return json.dumps({"item_id": item, "video_feature_dim_128": values if isinstance(values, list) else [values] * 128}).encode()


def audio(item, values) -> bytes:
    """A line of what is heard; a number stands for 128 of it."""
    return json.dumps({"item_id": item, "audio_feature_128_dim": values if isinstance(values, list) else [values] * 128}).encode()


def faces(item, *attributes) -> bytes:
    """A line of face attributes."""
    return json.dumps({"item_id": item, "face_attrs": list(attributes)}).encode()


def pull(folder: Path, views: list[bytes], *, files=None, core=0, **options) -> PullReport:
    """Pull these lines, `files` by role, into a store of this folder."""
    paths = {role: write_lines(folder / NAMES[role], lines) for role, lines in (files or {}).items()}
    interactions = write_lines(folder / "final_track2_train.txt", views)
    return tiktok.pull(folder / "s.duckdb", interactions=interactions, **paths, core=core, reporter=Silent(), **options)
