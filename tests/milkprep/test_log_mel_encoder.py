"""Log-mel statistics against a plain NumPy reading of their definition."""

import numpy as np
import pytest
from media_samples import tone, write_wav

from milkprep.decode import DecodeFailure
from milkprep.extractors.log_mel import LogMel
from schemas.contracts import AssetStatus


@pytest.fixture(scope="module")
def encoder():
    return LogMel(normalise=False)


def mel_filters() -> np.ndarray:
    """(257, 64) triangles, even on O'Shaughnessy's scale mel = 2595 log10(1 + hz / 700), peaks of 1."""
    mel = np.linspace(2595 * np.log10(1 + 125 / 700), 2595 * np.log10(1 + 7500 / 700), 66)
    hz = 700 * (10 ** (mel / 2595) - 1)
    bins = np.linspace(0, 8000, 257)
    rising = (bins[:, None] - hz[:-2]) / np.diff(hz)[:-1]
    falling = (hz[2:] - bins[:, None]) / np.diff(hz)[1:]
    return np.clip(np.minimum(rising, falling), 0, None)


def by_definition(samples: np.ndarray) -> np.ndarray:
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)  # periodic Hann, in the middle of the transform
    frames = np.stack([samples[start : start + 512] for start in range(0, len(samples) - 511, 160)])
    bands = np.log(np.abs(np.fft.rfft(frames * window)) @ mel_filters() + 0.01)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])


@pytest.mark.parametrize("n_samples", [512, 671, 672, 16_000])
def test_a_vector_follows_the_definition(encoder, n_samples):
    samples = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    np.testing.assert_allclose(encoder.encode([samples])[0], by_definition(samples.astype(float)), rtol=1e-4, atol=1e-4)


def test_padding_to_the_longest_of_a_batch_does_not_count(encoder):
    short, long = tone(0.1), tone(2.0, hz=1000)
    together = encoder.encode([long, short])
    np.testing.assert_allclose(together[1], encoder.encode([short])[0], atol=1e-5)


def test_a_steady_tone_is_loudest_in_its_own_band_and_does_not_vary(encoder):
    found = encoder.encode([tone(1.0, hz=1000)])[0]
    assert found[:64].argmax() in (mel_filters()[32].argmax(), *np.flatnonzero(mel_filters()[32]))  # bin 32 is 1000 Hz
    assert found[64 + found[:64].argmax()] < 0.05


def test_louder_sound_has_higher_means_and_the_same_spread(encoder):
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    quiet, loud = encoder.encode([noise, 4 * noise])
    np.testing.assert_allclose(loud[:64] - quiet[:64], np.log(4), atol=0.02)
    np.testing.assert_allclose(loud[64:], quiet[64:], atol=0.02)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (22_050, 2), (48_000, 2)])
def test_the_rate_and_channels_of_the_file_hardly_matter(encoder, tmp_path, rate, channels):
    file = write_wav(tmp_path / "a.wav", np.stack([tone(1.0, rate=rate, hz=700)] * channels), rate=rate)
    found, expected = encoder.encode([encoder.decode(file)])[0], encoder.encode([tone(1.0, hz=700)])[0]
    assert found[:64].argmax() == expected[:64].argmax()
    assert abs(found[:64].max() - expected[:64].max()) < 0.02


def test_sound_of_less_than_one_window_is_too_short(encoder, tmp_path):
    encoder.decode(write_wav(tmp_path / "a.wav", tone(512 / 16_000)))
    with pytest.raises(DecodeFailure, match="shorter than 32 ms") as caught:
        encoder.decode(write_wav(tmp_path / "b.wav", tone(511 / 16_000)))
    assert caught.value.status is AssetStatus.TOO_SHORT
