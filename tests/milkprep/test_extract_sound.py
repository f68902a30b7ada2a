"""Extraction with learned encoders of sound: what the store holds is what the encoder gives, and what cannot be heard says why."""

import av_samples
import numpy as np
import pytest
import tiny_sound_models
from media_samples import tone, write_sound, write_wav
from small_catalogue import query, violations, write_catalogue

from milkprep import extractors
from milkprep.encoder import EncoderOptions
from milkprep.extract import extract
from schemas.contracts import Modality
from schemas.reporting import Silent


@pytest.fixture
def sounds(tmp_path):
    """Items 0 to 3 can be heard, 3 is a video; 4 is silent, 5 short, 6 a video without sound, 7 a page."""
    page = tmp_path / "page.mp3"
    page.write_text("<html>404</html>")
    files = [
        write_wav(tmp_path / "0.wav", tone(0.5)),
        write_sound(tmp_path / "1.mp3", np.stack([tone(2.3, rate=44_100, hz=700)] * 2), codec="libmp3lame", rate=44_100),
        write_wav(tmp_path / "2.wav", tone(1.1, rate=8_000, hz=900), rate=8_000),
        av_samples.write_video(tmp_path / "3.mp4", sound=tone(1.0, hz=300)),
        write_wav(tmp_path / "4.wav", np.zeros(16_000)),
        write_wav(tmp_path / "5.wav", tone(0.003)),
        av_samples.write_video(tmp_path / "6.mp4"),
        page,
    ]
    catalogue = {item: [file] for item, file in enumerate(files)}
    return write_catalogue(tmp_path / "s.duckdb", [("a", None)] * len(files), files={Modality.AUDIO: catalogue}), files


@pytest.fixture(params=["torchaudio-pipelines", "transformers-audio"])
def chosen(request, tmp_path) -> tuple[str, EncoderOptions]:
    network = tiny_sound_models.write_pipeline(tmp_path / "network.json")
    return request.param, {
        "torchaudio-pipelines": EncoderOptions(model=str(network), weights="random", window=1.0, device="cpu"),
        "transformers-audio": EncoderOptions(model=str(tiny_sound_models.write_transformers(tmp_path / "clap", "clap")), weights="random"),
    }[request.param]


def test_sound_is_embedded_and_what_cannot_be_heard_is_a_row_with_a_reason(sounds, chosen):
    (path, files), (name, options) = sounds, chosen
    report = extract(path, modality=Modality.AUDIO, encoder=name, options=options, workers=1, reporter=Silent())
    assert (report.n_items, report.n_embedded_now, report.n_without) == (4, 4, 4)
    encoder = extractors.resolve(Modality.AUDIO, name).build(options)
    found = query(path, "SELECT item_idx, vector FROM features_audio ORDER BY item_idx")
    assert [item for item, _ in found] == [0, 1, 2, 3]
    np.testing.assert_allclose([vector for _, vector in found], [encoder.encode([encoder.decode(file)])[0] for file in files[:4]], atol=1e-5)
    statuses = query(path, "SELECT item_idx, status FROM assets WHERE modality = 'audio' AND status <> 'ok' ORDER BY item_idx")
    assert statuses == [(4, "silent"), (5, "too_short"), (6, "absent"), (7, "decode_error")]
    reasons = query(path, "SELECT audio_reason FROM modality_availability WHERE NOT audio ORDER BY item_idx")
    assert all(reason for (reason,) in reasons)
    assert query(path, "SELECT DISTINCT weights FROM feature_sets") == [("random",)]
    assert violations(path) == {}
    again = extract(path, modality=Modality.AUDIO, encoder=name, options=options, workers=1, reporter=Silent())
    assert again.n_embedded_now == 0
