"""What every encoder promises, whatever it embeds; a new file in `extractors/` is held to it without a line here.

Encoders with weights run on tiny models that are made on the spot; the weight-free ones as they are.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_clip_text
import tiny_sound_models
import tiny_transformer
import tiny_vision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_samples import gradient, tone, write_picture, write_sound, write_wav

from milkprep import extractors
from milkprep.decode import DecodeFailure
from milkprep.encoder import Encoder, EncoderOptions
from milkprep.newcomers import again
from schemas import plugins
from schemas.contracts import AssetStatus, FeatureSet, Modality
from schemas.errors import BadValue

NAMES = plugins.names("milkprep.extractors")
TEXT_NAMES = [name for name in NAMES if plugins.load("milkprep.extractors", name).MODALITY is Modality.TEXT]
FILE_NAMES = [name for name in NAMES if name not in TEXT_NAMES]
TEXTS = [
    "a", "A red card", "a red card", "Grüße aus Köln", "日本語のカード", "🎁🎂", "!!!", "  spaced \n\t out ", "0", "e\u0301",
    *(" ".join(f"word{n}" for n in range(length)) for length in (2, 5, 11, 40, 300)), "x" * 3000,
]  # fmt: skip


@pytest.fixture(scope="session")
def samples(tmp_path_factory) -> dict[Modality, list[str | Path]]:
    """Content of every modality, of many sizes and kinds."""
    folder = tmp_path_factory.mktemp("samples")
    sizes = [(1, 1), (3, 50), (50, 3), (7, 7), (8, 8), (48, 64), (200, 131)]
    pictures = [write_picture(folder / f"{h}x{w}.png", gradient(h, w)) for h, w in sizes]
    pictures += [write_picture(folder / f"{level}.png", np.full((9, 9), level, dtype=np.uint8)) for level in (0, 255)]
    pictures += [write_picture(folder / "a.jpg"), write_picture(folder / "a.webp")]
    sounds = [write_wav(folder / f"{n}.wav", tone(n / 7, hz=100 * n), rate=16_000) for n in range(1, 10)]
    sounds += [write_sound(folder / "a.mp3", np.stack([tone(1.0, rate=44_100)] * 2), codec="libmp3lame", rate=44_100)]
    sounds += [write_sound(folder / "a.flac", tone(0.3, rate=8_000)[None], codec="flac", rate=8_000)]
    return {Modality.TEXT: list(TEXTS), Modality.VISUAL: pictures, Modality.AUDIO: sounds}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Options that make an encoder with weights tiny."""
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "transformers-vision": {"weights": str(tiny_vision.write_transformers(folder / "siglip", "siglip_vision_model"))},
        "open-clip": {"weights": str(tiny_vision.write_open_clip(folder / "open_clip"))},
        "open-clip-text": {"weights": str(tiny_clip_text.write(folder / "open_clip_text"))},
        "transformers-text": {"weights": str(tiny_transformer.write(folder))},
        "torchaudio-pipelines": {"model": str(tiny_sound_models.write_pipeline(folder / "wav2vec2.json")), "weights": "random", "window": 0.7},
        "transformers-audio": {"weights": str(tiny_sound_models.write_transformers(folder / "clap", "clap"))},
    }


@pytest.fixture(params=NAMES)
def build(request, tiny):
    """The encoder of one plugin, with options."""

    def build(**options: Any) -> Encoder[Any, Any]:
        plugin = plugins.load("milkprep.extractors", request.param)
        return extractors.resolve(plugin.MODALITY, request.param).build(EncoderOptions(**tiny.get(request.param, {}), **options))

    return build


def embed(encoder: Encoder[Any, Any], contents: Sequence[str | Path], *, batch_size: int) -> np.ndarray:
    decoded = [encoder.decode(content) for content in contents]
    batches = [decoded[start : start + batch_size] for start in range(0, len(decoded), batch_size)]
    return np.concatenate([encoder.encode(batch) for batch in batches])


def test_there_is_an_encoder_for_every_modality():
    assert {plugins.load("milkprep.extractors", name).MODALITY for name in NAMES} == set(Modality)


def test_vectors_are_finite_numbers_of_the_stated_width_and_never_all_zeros(build, samples):
    encoder = build()
    vectors = embed(encoder, samples[encoder.modality], batch_size=4)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(samples[encoder.modality]), encoder.identity.width)
    assert np.isfinite(vectors).all()
    assert vectors.any(axis=1).all()


@pytest.mark.parametrize("batch_size", [7, 32])
def test_a_vector_does_not_depend_on_the_batch_it_was_computed_in(build, samples, batch_size):
    encoder = build()
    alone = embed(encoder, samples[encoder.modality], batch_size=1)
    np.testing.assert_allclose(embed(encoder, samples[encoder.modality], batch_size=batch_size), alone, rtol=1e-5, atol=1e-5)


def test_a_vector_does_not_depend_on_the_order_of_the_batch(build, samples):
    encoder = build()
    contents = samples[encoder.modality]
    order = np.random.default_rng(0).permutation(len(contents))
    shuffled = embed(encoder, [contents[place] for place in order], batch_size=32)
    np.testing.assert_allclose(shuffled, embed(encoder, contents, batch_size=32)[order], rtol=1e-5, atol=1e-5)


def test_different_content_has_different_vectors(build, samples):
    encoder = build()
    vectors = embed(encoder, samples[encoder.modality][:3] + samples[encoder.modality][-2:], batch_size=8)
    same = [(a, b) for a in range(5) for b in range(a) if np.allclose(vectors[a], vectors[b], atol=1e-6)]
    assert same in ([], [(2, 1)])  # "A red card" and "a red card", where letters are lowered


def test_the_same_encoder_built_twice_is_the_same_feature_set_and_gives_the_same_bits(build, samples):
    first, second = build(), build()
    assert first.identity == second.identity
    contents = samples[first.modality]
    np.testing.assert_array_equal(embed(first, contents, batch_size=32), embed(second, contents, batch_size=32))


def test_normalised_vectors_have_length_one_and_the_same_direction(build, samples):
    plain, normal = build(), build(normalise=True)
    contents = samples[plain.modality]
    vectors, scaled = embed(plain, contents, batch_size=32), embed(normal, contents, batch_size=32)
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(scaled * np.linalg.norm(vectors, axis=1, keepdims=True), vectors, rtol=1e-4, atol=1e-5)


def test_an_identity_can_be_stored_and_names_what_computed_it(build):
    identity = build().identity
    assert json.loads(json.dumps(identity.parameters)) == identity.parameters
    assert identity.encoder in NAMES
    assert identity.versions
    assert (identity.weights == "none") == (identity.weights_sha256 == "")


def test_sizes_are_positive_and_fit_the_budget(build, samples):
    encoder = build()
    for content in samples[encoder.modality]:
        assert 1 <= encoder.size_of(encoder.decode(content)) <= encoder.budget
    assert encoder.batch_size >= 1


@pytest.mark.parametrize("options", [{"pooling": "attention"}, {"device": "abacus"}, {"max_length": 1}])
def test_an_option_that_means_nothing_to_it_is_refused(build, options):
    with pytest.raises(BadValue):
        build(**options)


def test_what_it_offers_states_where_weights_come_from(build):
    offers = plugins.load("milkprep.extractors", build().identity.encoder).offers()
    assert offers
    assert all(offer.weights and offer.origin for offer in offers)


@pytest.mark.parametrize("build", FILE_NAMES, indirect=True)
def test_a_process_that_knows_only_the_preparation_decodes_to_the_same_bits(build, samples):
    encoder = build()
    prepare = plugins.load("milkprep.extractors", encoder.identity.encoder).preparer(json.loads(json.dumps(encoder.preparation)))
    for content in samples[encoder.modality]:
        prepared, decoded = prepare(content), encoder.decode(content)
        assert prepared.dtype == decoded.dtype
        np.testing.assert_array_equal(prepared, decoded)


@pytest.mark.parametrize("build", FILE_NAMES, indirect=True)
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"<html></html>", bytes(range(256)) * 8])
def test_a_file_that_is_no_content_is_a_failure_with_a_reason(build, tmp_path, content):
    encoder = build()
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DecodeFailure, match=r"[a-z]+") as caught:
        encoder.decode(tmp_path / "a")
    assert caught.value.status is AssetStatus.DECODE_ERROR


@pytest.mark.parametrize("build", TEXT_NAMES, indirect=True)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200))
def test_any_text_gives_a_vector_or_a_failure(build, text):
    encoder = build()
    try:
        decoded = encoder.decode(text)
    except DecodeFailure:
        assert not text.strip()
    else:
        assert np.isfinite(encoder.encode([decoded])).all()


@pytest.mark.parametrize("options", [{}, {"normalise": True}], ids=["usual", "normalised"])
def test_what_a_store_says_of_an_encoder_is_enough_to_make_it_again(build, options):
    """New items are embedded so for a finished run, which knows no more."""
    made = build(**options)
    kept = replace(made.identity, parameters=json.loads(json.dumps(made.identity.parameters)))
    found = again.options_of(FeatureSet(1, made.modality, kept, ""))
    twin = extractors.resolve(made.modality, kept.encoder).build(found)
    assert again.differences(kept, replace(twin.identity, parameters=json.loads(json.dumps(twin.identity.parameters)))) == []
    assert twin.preparation == made.preparation
