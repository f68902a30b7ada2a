"""Sound: mono samples of what was recorded, whatever the container; refusals in words, within bounds no header moves."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_samples import tone, write_sound, write_wav

from milkprep.decode import DecodeFailure
from milkprep.decode import audio as decode_audio
from milkprep.decode.audio import Sound, at_rate, read_sound, refuse_inaudible
from schemas.contracts import AssetStatus


def loudest_hz(sound: Sound) -> float:
    spectrum = np.abs(np.fft.rfft(sound.samples))
    return float(np.fft.rfftfreq(len(sound.samples), 1 / sound.rate)[spectrum.argmax()])


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_wav_samples_come_back_at_their_own_rate(tmp_path, rate):
    wave = tone(0.5, rate=rate)
    sound = read_sound(write_wav(tmp_path / "a.wav", wave, rate=rate))
    assert sound.rate == rate
    np.testing.assert_allclose(sound.samples, wave, atol=2 / 32768)


CODECS = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "ogg": "libopus", "m4a": "aac", "mp4": "aac"}


@pytest.mark.parametrize(("ending", "codec"), CODECS.items())
def test_every_container_gives_the_tone_that_went_in(tmp_path, ending, codec):
    sound = read_sound(write_sound(tmp_path / f"a.{ending}", np.stack([tone(1.0, rate=48_000)] * 2), codec=codec, rate=48_000))
    assert sound.samples.dtype == np.float32
    assert abs(loudest_hz(sound) - 440) < 2
    assert abs(len(sound.samples) / sound.rate - 1.0) < 0.1  # codecs pad to whole frames
    middle = sound.samples[len(sound.samples) // 4 : 3 * len(sound.samples) // 4]
    assert abs(np.abs(middle).max() - 0.5) < 0.05


def test_channels_are_averaged(tmp_path):
    left = tone(0.2)
    assert np.allclose(read_sound(write_wav(tmp_path / "a.wav", np.stack([left, -left]))).samples, 0, atol=1e-4)
    np.testing.assert_allclose(read_sound(write_wav(tmp_path / "b.wav", np.stack([left, 0 * left]))).samples, left / 2, atol=2 / 32768)


@pytest.mark.parametrize("rate", [96_000, 44_101])
def test_rates_that_would_need_huge_filters_are_brought_to_a_common_one(tmp_path, rate):
    sound = read_sound(write_wav(tmp_path / "a.wav", tone(0.5, rate=rate), rate=rate))
    assert sound.rate == 48_000
    assert abs(len(sound.samples) - 24_000) < 50
    assert abs(loudest_hz(sound) - 440) < 3


def test_resampling_keeps_the_tone_and_its_strength():
    heard = at_rate(Sound(tone(1.0, rate=44_100), 44_100), 16_000)
    np.testing.assert_allclose(heard[200:-200], tone(1.0, rate=16_000)[200:-200], atol=0.005)


def test_sound_at_the_wanted_rate_is_left_alone():
    samples = tone(0.1)
    assert at_rate(Sound(samples, 16_000), 16_000) is samples


def refusal(path) -> DecodeFailure:
    with pytest.raises(DecodeFailure) as caught:
        read_sound(path)
    return caught.value


@pytest.mark.parametrize("content", [b"\0" * 500, b"<html>404</html>", b"RIFF\xff\xff\xff\xffWAVEfmt ", bytes(range(256)) * 20])
def test_what_is_no_sound_is_refused_without_a_word_on_stderr(tmp_path, capfd, content):
    (tmp_path / "a.wav").write_bytes(content)
    assert refusal(tmp_path / "a.wav").status is AssetStatus.DECODE_ERROR
    assert capfd.readouterr() == ("", "")


def test_a_playlist_is_no_sound_for_it_names_other_files(tmp_path):
    write_wav(tmp_path / "other.wav", tone(1.0))
    for name, text in {
        "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n",
        "a.txt": "ffconcat version 1.0\nfile other.wav\n",
    }.items():
        (tmp_path / name).write_text(text)
        assert refusal(tmp_path / name).status is AssetStatus.DECODE_ERROR


def test_a_file_without_a_sound_track_has_none_rather_than_a_broken_one(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for packet in [*stream.encode(av.VideoFrame(32, 32, "yuv420p")), *stream.encode(None)]:
            container.mux(packet)
    failure = refusal(tmp_path / "a.mp4")
    assert (failure.status, failure.reason) == (AssetStatus.ABSENT, "the file has no sound track")


@pytest.mark.parametrize(("ending", "codec"), [("wav", "pcm_s16le"), ("flac", "flac"), ("m4a", "aac")])
def test_sound_that_was_cut_short_is_refused(tmp_path, ending, codec):
    whole = write_sound(tmp_path / f"a.{ending}", tone(2.0)[None], codec=codec, rate=16_000).read_bytes()
    (tmp_path / f"half.{ending}").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path / f"half.{ending}").status is AssetStatus.DECODE_ERROR


def with_stated_bytes(path, stated: int):
    """A WAV file whose data chunk states another length than it has."""
    content = bytearray(write_wav(path, tone(1.0)).read_bytes())
    content[40:44] = struct.pack("<I", stated)
    path.write_bytes(content)
    return path


def test_a_header_that_promises_ten_hours_is_found_out(tmp_path):
    failure = refusal(with_stated_bytes(tmp_path / "a.wav", 10 * 3600 * 32_000))
    assert failure.reason == "the sound is cut short: its header states more than can be read"


@pytest.mark.parametrize("unknown", [0, 0xFFFFFFFF])
def test_a_recording_whose_length_was_unknown_when_it_began_is_whole(tmp_path, unknown):
    assert len(read_sound(with_stated_bytes(tmp_path / "a.wav", unknown)).samples) == 16_000


def test_long_sound_is_used_up_to_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_audio, "MAX_SECONDS", 1)
    wave = tone(3.0)
    sound = read_sound(write_wav(tmp_path / "a.wav", wave))
    np.testing.assert_allclose(sound.samples, wave[:16_000], atol=2 / 32768)


@pytest.mark.parametrize(
    ("samples", "status"),
    [
        (tone(0.01), AssetStatus.TOO_SHORT),
        (np.zeros(0, dtype=np.float32), AssetStatus.TOO_SHORT),
        (np.zeros(16_000, dtype=np.float32), AssetStatus.SILENT),
        (tone(1.0, peak=0.5e-4), AssetStatus.SILENT),
        (np.full(16_000, np.nan, dtype=np.float32), AssetStatus.DECODE_ERROR),
        (np.array([*tone(1.0), np.inf], dtype=np.float32), AssetStatus.DECODE_ERROR),
    ],
)
def test_sound_nobody_can_hear_gets_the_status_that_says_so(samples, status):
    with pytest.raises(DecodeFailure) as caught:
        refuse_inaudible(samples, min_samples=400, rate=16_000)
    assert caught.value.status is status


def test_faint_sound_is_sound():
    for audible in (tone(1.0, peak=2e-4), tone(0.025)):
        assert refuse_inaudible(audible, min_samples=400, rate=16_000) is None
    with pytest.raises(DecodeFailure, match="silent"):
        refuse_inaudible(tone(1.0, peak=0.5e-4), min_samples=400, rate=16_000)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    wave = tone(0.2, rate=48_000)[None]
    for ending, codec in CODECS.items():
        write_sound(folder / f"a.{ending}", wave, codec=codec, rate=48_000)
    return folder  # not the bytes: a failing example would print them


def test_a_coding_that_no_decoder_knows_is_refused(tmp_path, sounds):
    broken = bytearray((sounds / "a.wav").read_bytes())
    at = broken.index(b"fmt ") + 8  # the format tag of the chunk
    broken[at : at + 2] = b"\x77\x77"
    (tmp_path / "broken.wav").write_bytes(broken)
    with pytest.raises(DecodeFailure, match=r"no decoder knows|unknown format|makes no sense"):
        read_sound(tmp_path / "broken.wav")


def test_a_header_that_claims_hundreds_of_channels_is_refused(tmp_path, sounds):
    broken = bytearray((sounds / "a.wav").read_bytes())
    broken[broken.index(b"fmt ") + 10] = 200  # number of channels
    (tmp_path / "broken.wav").write_bytes(broken)
    with pytest.raises(DecodeFailure, match=r"channels|makes no sense|is broken"):
        read_sound(tmp_path / "broken.wav")


DAMAGE = st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(list(CODECS)), DAMAGE)
def test_damage_anywhere_gives_sound_or_a_refusal_and_nothing_else(tmp_path, sounds, ending, damage):
    broken = bytearray((sounds / f"a.{ending}").read_bytes())
    for place, byte in damage:
        broken[int(place * len(broken))] = byte
    (tmp_path / "broken").write_bytes(broken)
    with suppress(DecodeFailure):
        assert 0 < len(read_sound(tmp_path / "broken").samples) <= 600 * 48_000
