"""Sound in the containers, rates and channels that items come with: vectors are those of the network on the decoded samples."""

import wave
from pathlib import Path

import av_samples
import numpy as np
import pytest
import tiny_sound_models
import torch
from media_samples import tone, write_sound, write_wav

from milkprep.decode import DecodeFailure
from milkprep.decode.audio import at_rate, read_sound
from milkprep.encoder import EncoderOptions
from milkprep.extractors import torchaudio_pipelines, transformers_audio
from schemas.contracts import AssetStatus

ENCODERS = ["wav2vec2", "clap"]
CODECS = {"mp3": "libmp3lame", "flac": "flac", "ogg": "libopus", "m4a": "aac", "wav": "pcm_s16le"}
KINDS = [
    *((ending, rate, channels) for ending in ("wav", "flac", "mp3") for rate in (8_000, 16_000, 22_050, 48_000) for channels in (1, 2)),
    ("ogg", 48_000, 2), ("ogg", 24_000, 1), ("m4a", 32_000, 1), ("m4a", 44_100, 2), ("mp4", 16_000, 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    network = tiny_sound_models.write_pipeline(folder / "network.json")
    clap = tiny_sound_models.write_transformers(folder / "clap", "clap")
    return {
        "wav2vec2": torchaudio_pipelines.build(EncoderOptions(model=str(network), weights="random", window=1.0, device="cpu")),
        "clap": transformers_audio.build(EncoderOptions(weights=str(clap), device="cpu")),
    }


def melody(rate: int, channels: int) -> np.ndarray:
    """(C, T) samples of 0.6 s: one channel higher than the other."""
    return np.stack([tone(0.6, rate=rate, hz=500.0 * (1 + channel)) for channel in range(channels)])


def write(file: Path, rate: int, channels: int) -> Path:
    if file.suffix == ".mp4":
        return av_samples.write_video(file, sound=melody(rate, channels)[0])
    return write_sound(file, melody(rate, channels), codec=CODECS[file.suffix[1:]], rate=rate)


def expected(name: str, encoder, file: Path) -> np.ndarray:
    network = encoder._network
    with torch.inference_mode():
        if name == "wav2vec2":
            samples = at_rate(read_sound(file), 16_000)
            return network.extract_features(torch.from_numpy(samples)[None])[0][-1][0].mean(dim=0).numpy()
        samples = at_rate(read_sound(file), 8_000)
        inputs = encoder._prepared.extractor()(samples, sampling_rate=8_000, return_tensors="pt")
        return network(**inputs).audio_embeds[0].numpy()


@pytest.mark.parametrize("batch_size", [1, 7, 32])
@pytest.mark.parametrize("name", ENCODERS)
def test_files_of_every_kind_give_the_networks_vectors(encoders, tmp_path, name, batch_size):
    encoder = encoders[name]
    files = [write(tmp_path / f"{rate}_{channels}.{ending}", rate, channels) for ending, rate, channels in KINDS]
    contents = [encoder.decode(file) for file in files]
    found = np.concatenate([encoder.encode(contents[start : start + batch_size]) for start in range(0, len(contents), batch_size)])
    np.testing.assert_allclose(found, [expected(name, encoder, file) for file in files], atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_stereo_is_the_mean_of_its_channels_and_the_container_of_a_lossless_file_does_not_matter(encoders, tmp_path, name):
    encoder = encoders[name]
    both = melody(16_000, 2)
    files = [
        write_wav(tmp_path / "a.wav", both),
        write_wav(tmp_path / "b.wav", both.mean(axis=0)),
        write_sound(tmp_path / "c.flac", both, codec="flac", rate=16_000),
    ]
    first, second, third = (encoder.encode([encoder.decode(file)])[0] for file in files)
    np.testing.assert_allclose(second, first, atol=2e-2 * np.abs(first).max())  # one of 32767 steps apart
    np.testing.assert_allclose(third, first, atol=2e-2 * np.abs(first).max())


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    ("write_file", "status", "match"),
    [
        (lambda file: write_wav(file, np.zeros(16_000)), AssetStatus.SILENT, "silent throughout"),
        (lambda file: write_wav(file, tone(0.003)), AssetStatus.TOO_SHORT, "shorter than"),
        (lambda file: av_samples.write_video(file.with_suffix(".mp4")), AssetStatus.ABSENT, "no sound track"),
    ],
)
def test_what_cannot_be_heard_has_a_status(encoders, tmp_path, name, write_file, status, match):
    with pytest.raises(DecodeFailure, match=match) as caught:
        encoders[name].decode(write_file(tmp_path / "a.wav"))
    assert caught.value.status is status


@pytest.mark.parametrize("name", ENCODERS)
def test_a_header_of_ten_hours_over_a_second_of_sound_is_refused_without_room_for_ten_hours(encoders, tmp_path, name):
    file = write_wav(tmp_path / "a.wav", tone(1.0))
    content = bytearray(file.read_bytes())
    content[40:44] = (10 * 3600 * 16_000 * 2).to_bytes(4, "little")
    file.write_bytes(content)
    with pytest.raises(DecodeFailure, match="cut short"):
        encoders[name].decode(file)


@pytest.mark.parametrize("name", ENCODERS)
def test_of_eleven_minutes_the_first_ten_are_embedded(encoders, tmp_path, name):
    encoder = encoders[name]
    second = (tone(1.0, rate=8_000) * 32767).astype("<i2").tobytes()
    other = (tone(1.0, rate=8_000, hz=1_000) * 32767).astype("<i2").tobytes()
    vectors = []
    for n_seconds in (600, 660):
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, 2, 8_000, 0, "NONE", ""))
            file.writeframes(second * 600 + other * (n_seconds - 600))
        vectors.append(encoder.encode([encoder.decode(tmp_path / "a.wav")]))
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-5)
