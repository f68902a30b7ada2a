"""Frames of videos: the ones shown at the times asked for, upright; known from their shade, whatever container and header say."""

import io
from itertools import pairwise

import numpy as np
import pytest
from av_samples import CLIPS, shades, write_clip, write_video
from hypothesis import given
from hypothesis import strategies as st
from media_samples import tone

from milkprep.decode import timeline as decode_timeline
from milkprep.decode import track as decode_track
from milkprep.decode import video as decode_video
from milkprep.decode.timeline import Stop, Timeline
from milkprep.decode.video import read_frames
from schemas.errors import BadValue

SHADES = list(range(20))


@pytest.mark.parametrize("ending", CLIPS)
def test_every_container_gives_the_frames_in_the_middle_of_four_parts(tmp_path, ending):
    frames = read_frames(write_clip(tmp_path / f"a.{ending}", SHADES), n=4)
    assert shades(frames) == [2, 7, 12, 17]  # of 20: 2.5, 7.5, 12.5, 17.5
    assert all(frame.shape == (32, 32, 3) and frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in frames)


@pytest.mark.parametrize(("ending", "codec"), [("avi", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("mp4", "libx265")])
@pytest.mark.parametrize("n", [3, 20])
def test_frames_that_are_stored_in_another_order_come_in_the_order_shown(tmp_path, ending, codec, n):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {"bf": "2"}
    clip = write_clip(tmp_path / f"a.{ending}", SHADES, codec=codec, **options)
    assert shades(read_frames(clip, n=n)) == ([3, 10, 16] if n == 3 else SHADES)


@pytest.mark.parametrize(("n", "expected"), [(1, [10]), (2, [5, 15]), (19, None), (20, SHADES), (500, SHADES)])
def test_a_video_gives_as_many_frames_as_asked_for_or_all_it_has(tmp_path, n, expected):
    found = shades(read_frames(write_clip(tmp_path / "a.mp4", SHADES, gop=7), n=n))
    assert found == (expected or [int((part + 0.5) / 19 * 20) for part in range(19)])


def test_a_frame_that_is_shown_long_counts_for_more(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", [0, 4, 8, 12, 16], ticks=[0, 2, 4, 8, 24])
    # ticks shown: 2, 2, 4, 16 and, the mean of these, 6: 30 in all, middles at 3.75, 11.25, 18.75, 26.25
    assert shades(read_frames(clip, n=4)) == [4, 12, 12, 16]


def test_only_what_leads_to_the_wanted_frames_is_decoded(tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "a.webm", [number % 20 for number in range(200)])
    fed, decode = [], decode_track._of_packet
    monkeypatch.setattr(decode_track, "_of_packet", lambda stream, packet: fed.append(packet) or decode(stream, packet))
    assert shades(read_frames(clip, n=4)) == [number % 20 for number in (25, 75, 125, 175)]
    assert len(fed) <= 4 * 7  # key frames lie 5 apart; one more packet shows that the frame is over, and one may be in the decoder


QUARTERS = {0: [1, 0, 0, 1], 90: [0, -1, 1, 0], 180: [-1, 0, 0, -1], 270: [0, 1, -1, 0]}


def matrix(a, b, c, d) -> list[int]:
    return [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]


def corners() -> np.ndarray:
    """(32, 64, 3): a corner of each shade, so that every turn and mirror image looks different."""
    return np.kron(np.array([[0, 80], [160, 240]], dtype=np.uint8), np.ones((16, 32), dtype=np.uint8))[:, :, None].repeat(3, axis=2)


@pytest.mark.parametrize("ending", ["mp4", "mov"])
@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        *((matrix(*QUARTERS[degrees]), lambda pixels, degrees=degrees: np.rot90(pixels, degrees // 90)) for degrees in QUARTERS),
        (matrix(-1, 0, 0, 1), lambda pixels: pixels[:, ::-1]),
        (matrix(1, 0, 0, -1), lambda pixels: pixels[::-1]),
        (matrix(0, 1, 1, 0), lambda pixels: pixels.transpose(1, 0, 2)),
    ],
    ids=["as it is", "90", "180", "270", "mirrored", "upside down", "transposed"],
)
def test_frames_are_turned_as_the_file_says(tmp_path, ending, turn, expected):
    plain = read_frames(write_clip(tmp_path / f"plain.{ending}", [corners()]), n=1)[0]
    assert np.abs(plain.astype(int) - corners()).mean() < 8
    found = read_frames(write_clip(tmp_path / f"a.{ending}", [corners()], matrix=turn), n=1)[0]
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected(plain))


def test_a_turn_that_is_none_of_the_quarters_is_taken_to_the_nearest(tmp_path):
    nearly = [60_000, -5_000, 0, 5_000, 60_000, 0, 0, 0, 1 << 30]
    plain = read_frames(write_clip(tmp_path / "plain.mp4", [corners()]), n=1)[0]
    np.testing.assert_array_equal(read_frames(write_clip(tmp_path / "a.mp4", [corners()], matrix=nearly), n=1)[0], plain)


SCENES = [2] * 4 + [18] * 40 + [6] * 8 + [14] * 12


def test_one_frame_of_each_scene_is_taken_where_scenes_are_asked_for(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", SCENES)
    assert shades(read_frames(clip, n=4, how="scenes")) == [2, 18, 6, 14]
    assert shades(read_frames(clip, n=4)) == [18, 18, 18, 14]  # in the middle of equal parts: 8, 24, 40, 56


def test_scenes_are_divided_where_the_picture_changes_most(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", [2] * 10 + [4] * 10 + [18] * 10)
    assert shades(read_frames(clip, n=2, how="scenes")) in ([2, 18], [4, 18])
    assert shades(read_frames(clip, n=3, how="scenes")) == [2, 4, 18]


FADE = [np.full((32, 32, 3), 20 + 3 * number, dtype=np.uint8) for number in range(40)]


@pytest.mark.parametrize("pictures", [[5] * 30, SCENES, FADE], ids=["still", "four scenes", "a fade"])
def test_frames_are_taken_evenly_where_there_are_too_few_scenes(tmp_path, pictures):
    clip = write_clip(tmp_path / "a.mp4", pictures)
    for one, other in zip(read_frames(clip, n=6, how="scenes"), read_frames(clip, n=6), strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_key_frames_are_looked_at_for_scenes_where_all_would_cost_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_video, "MAX_LOOKED_PIXELS", 0)
    looked, at = [], decode_video.frames_at
    monkeypatch.setattr(decode_video, "frames_at", lambda path, stops: looked.append(stops) or at(path, stops))
    assert shades(read_frames(write_clip(tmp_path / "a.webm", [2] * 15 + [18] * 15), n=2, how="scenes")) == [2, 18]
    assert [stop.start for stop in looked[0]] == [0, 5, 10, 15, 20, 25]


def test_of_a_video_that_costs_too_much_a_beginning_is_looked_at(tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "a.mkv", SHADES, gop=1000)
    monkeypatch.setattr(decode_video, "MAX_EVEN_PIXELS", 10 * 32 * 32)
    assert shades(read_frames(clip, n=2)) == [2, 7]  # of ten frames
    monkeypatch.setattr(decode_video, "MAX_EVEN_PIXELS", 0)
    assert shades(read_frames(clip, n=2)) == [0]


@pytest.mark.parametrize(("name", "most"), [("MAX_PACKETS", 10), ("MAX_SECONDS", 0.4)])
def test_of_a_long_video_the_beginning_is_looked_at(tmp_path, monkeypatch, name, most):
    clip = write_clip(tmp_path / "a.webm", SHADES)
    monkeypatch.setattr(decode_track if name == "MAX_PACKETS" else decode_timeline, name, most)
    assert shades(read_frames(clip, n=2)) == [2, 7]


@pytest.mark.parametrize("ending", CLIPS)
def test_a_second_reading_gives_the_same_frames(tmp_path, ending):
    clip = write_clip(tmp_path / f"a.{ending}", [corners(), corners()[::-1], corners()[:, ::-1]] * 5)
    for one, other in zip(read_frames(clip, n=3), read_frames(clip, n=3), strict=True):
        np.testing.assert_array_equal(one, other)


def with_stated_length(path, marks: dict[bytes, tuple[int, bytes]]):
    """A video whose header states another length: (bytes after a mark, what is put there)."""
    content = bytearray(path.read_bytes())
    for mark, (after, what) in marks.items():
        at = content.index(mark) + len(mark) + after
        content[at : at + len(what)] = what
    path.write_bytes(content)
    return path


LONG = (1 << 30).to_bytes(4, "big")
FALSE = {
    "mkv": {b"\x44\x89\x88": (0, np.array(3.6e7, dtype=">f8").tobytes())},
    "avi": {b"avih": (20, LONG[::-1]), b"strh": (36, LONG[::-1])},
}


@pytest.mark.parametrize("ending", FALSE)
def test_a_header_that_promises_ten_hours_is_not_believed(tmp_path, ending):
    import av

    clip = with_stated_length(write_clip(tmp_path / f"a.{ending}", SHADES), FALSE[ending])
    with av.open(str(clip)) as container:
        assert container.duration > 10 * 3600 * 1e6 * 0.99
    assert shades(read_frames(clip, n=4)) == [2, 7, 12, 17]


class Pipe(io.RawIOBase):
    """What goes out and cannot be gone back to."""

    def __init__(self):
        self.content = bytearray()

    def writable(self):
        return True

    def write(self, block):
        self.content += block
        return len(block)


@pytest.mark.parametrize("ending", ["webm", "flv"])
def test_a_recording_whose_length_was_unknown_when_it_began_is_whole(tmp_path, ending):
    clip = tmp_path / "a"
    clip.write_bytes(write_clip(Pipe(), SHADES, ending=ending).content)
    assert shades(read_frames(clip, n=4)) == [2, 7, 12, 17]


def test_frames_beside_a_sound_track_are_those_of_the_video(tmp_path):
    frames = read_frames(write_video(tmp_path / "a.mp4", sound=tone(1.0)), n=5)
    assert [round(frame.mean() / 50) for frame in frames] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "says"), [({"n": 0}, "0 frames are out of range"), ({"n": 1, "how": "all"}, "by 'all': give one of even, scenes")]
)
def test_what_cannot_be_asked_for_is_refused(tmp_path, options, says):
    with pytest.raises(BadValue, match=says):
        read_frames(tmp_path / "gone", **options)


def timeline(times, keys=None) -> Timeline:
    n = len(times)
    return Timeline(np.array(times), np.array(keys or [True] * n, dtype=bool), np.ones(n, dtype=bool), unit_s=0.01)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=40), st.integers(1, 12))
def test_even_times_are_those_a_stopwatch_would_give(times, n):
    moments = sorted(set(times))
    shown = [after - before for before, after in pairwise(moments)]
    if len(moments) <= n:
        expected = moments
    else:
        # in exact thirds and sevenths: everything times n and the number of gaps
        ends = [(moment - moments[0]) * len(shown) for moment in moments[1:]] + [sum(shown) * len(shown) + sum(shown)]
        expected = [moments[next(at for at, end in enumerate(ends) if (2 * part + 1) * ends[-1] < end * 2 * n)] for part in range(n)]
    assert timeline(times).even(n).tolist() == expected


def test_decoding_starts_at_the_last_key_frame_shown_no_later():
    # a key frame at 40 is followed, in the file, by frames that are shown before it
    track = timeline([0, 10, 40, 20, 30, 50, 60], keys=[True, False, True, False, False, False, True])
    assert track.stops(np.array([0, 30, 40, 50, 60])) == [Stop(0, 0), Stop(0, 30), Stop(2, 40), Stop(2, 50), Stop(6, 60)]
    assert timeline([5, 6], keys=[False, True]).stops(np.array([5, 6])) == [Stop(0, 5), Stop(1, 6)]


def test_the_cost_of_stops_is_what_lies_between_key_frames_and_them():
    track = timeline(list(range(20)), keys=[number % 10 == 0 for number in range(20)])
    assert track.cost(track.stops(np.array([3]))) == 4
    assert track.cost(track.stops(np.array([3, 5]))) == 6  # decoded in one go
    assert track.cost(track.stops(np.array([3, 12]))) == 4 + 3


def test_a_pause_of_days_between_two_frames_counts_for_a_minute():
    day = 24 * 3600 * 100
    # 0 .. 60 s, then a frame whose time is wrong by a day: 61 frames of a second each, one of a minute, and the last of the mean
    assert timeline([*range(0, 6001, 100), day]).even(2).tolist() == [3000, 6000]
