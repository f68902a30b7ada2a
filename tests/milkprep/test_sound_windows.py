"""Long sound in windows: where they lie, how their vectors become one, and what shares a forward pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import tone, write_wav

from milkprep.decode import DecodeFailure
from milkprep.encoder import OutOfMemory
from milkprep.extractors._sounds import Window, averaged, cut, padded, samples_of, window_samples
from schemas.contracts import AssetStatus
from schemas.errors import BadValue


def lengths(windows) -> np.ndarray:
    """(W, 1): a network whose vector of a window is its length."""
    return np.array([[len(window)] for window in windows], dtype=np.float32)


@pytest.mark.parametrize(
    ("n", "join", "expected"),
    [
        (5, True, [(0, 5)]),
        (10, True, [(0, 10)]),
        (13, True, [(0, 10), (10, 13)]),
        (12, True, [(0, 12)]),
        (12, False, [(0, 10)]),
        (22, True, [(0, 10), (10, 22)]),
        (22, False, [(0, 10), (10, 20)]),
        (30, False, [(0, 10), (10, 20), (20, 30)]),
    ],
)
def test_a_remainder_of_less_than_the_shortest_is_joined_or_dropped(n, join, expected):
    assert cut(n, window=10, shortest=3, join=join) == expected


@given(n=st.integers(3, 500), window=st.integers(3, 60), shortest=st.integers(1, 3), join=st.booleans())
def test_windows_follow_one_another_and_lose_less_than_the_shortest(n, window, shortest, join):
    places = cut(n, window=window, shortest=shortest, join=join)
    edges = [edge for place in places for edge in place]
    assert edges == sorted(edges)
    assert edges[0] == 0
    assert edges[1:-1:2] == edges[2::2]
    assert n - edges[-1] == 0 if join else n - edges[-1] < shortest
    assert all(shortest <= stop - start < window + shortest for start, stop in places)


def test_vectors_of_windows_are_averaged_by_the_samples_of_sound_in_them():
    windows = [Window(0, 10, np.ones(10)), Window(1, 4, np.ones(4)), Window(0, 5, np.ones(10))]  # the last is padded
    values = {10: [1.0, 5.0], 4: [2.0, 2.0]}
    seen = iter([[1.0, 5.0], [7.0, -1.0], [2.0, 2.0]])  # longest first, as they came

    def forward(some):
        assert all(len(window) in values for window in some)
        return np.array([next(seen) for _ in some], dtype=np.float32)

    vectors = averaged(windows, forward, n_sounds=2, most=1000, equal=True)
    np.testing.assert_allclose(vectors, [[(10 * 1 + 5 * 7) / 15, (10 * 5 - 5 * 1) / 15], [2, 2]], rtol=1e-6)


@pytest.mark.parametrize(
    ("most", "equal", "expected"),
    [(100, False, [[9, 9, 4, 4, 4]]), (18, False, [[9, 9], [4, 4, 4]]), (100, True, [[9, 9], [4, 4, 4]]), (8, True, [[9], [9], [4, 4], [4]])],
)
def test_a_forward_pass_is_bounded_and_of_one_length_where_padding_matters(most, equal, expected):
    passes = []

    def forward(some):
        passes.append([len(window) for window in some])
        return lengths(some)

    windows = [Window(place, n, np.zeros(n, dtype=np.float32)) for place, n in enumerate([4, 9, 4, 9, 4])]
    np.testing.assert_array_equal(averaged(windows, forward, n_sounds=5, most=most, equal=equal)[:, 0], [4, 9, 4, 9, 4])
    assert passes == expected


def test_windows_that_the_device_cannot_hold_together_go_in_halves():
    sizes = []

    def forward(some):
        if len(some) > 2:
            raise OutOfMemory("full")
        sizes.append(len(some))
        return lengths(some)

    windows = [Window(0, n, np.zeros(n, dtype=np.float32)) for n in (6, 6, 6, 6, 6)]
    assert averaged(windows, forward, n_sounds=1, most=100, equal=True).tolist() == [[6.0]]
    assert sizes == [2, 1, 2]


def test_one_window_that_the_device_cannot_hold_is_the_engines_to_know():
    def forward(_):
        raise OutOfMemory("full")

    with pytest.raises(OutOfMemory, match="full"):
        averaged([Window(0, 1, np.zeros(1, dtype=np.float32))], forward, n_sounds=1, most=1, equal=True)


def test_padding_is_zeros_behind():
    assert padded([np.array([1.0, 2, 3]), np.array([4.0])]).tolist() == [[1, 2, 3], [4, 0, 0]]


@pytest.mark.parametrize("seconds", [0.0, 0.01, 601, -1, float("nan")])
def test_a_window_that_no_network_takes_is_refused(seconds):
    with pytest.raises(BadValue, match=r"--window .* is out of range: give 0.025 to 600 seconds"):
        window_samples(seconds, rate=16_000, shortest=400, usual=30)


def test_silence_and_shortness_are_statuses(tmp_path):
    for name, samples, status in (("a", np.zeros(16_000), AssetStatus.SILENT), ("b", tone(0.02), AssetStatus.TOO_SHORT)):
        with pytest.raises(DecodeFailure) as caught:
            samples_of(write_wav(tmp_path / name, samples), rate=16_000, shortest=400)
        assert caught.value.status is status


def test_of_eleven_minutes_ten_are_used(tmp_path):
    file = write_wav(tmp_path / "a.wav", np.tile(tone(1.0, rate=8000), 660), rate=8000)
    assert len(samples_of(file, rate=8000, shortest=400)) == 600 * 8000
