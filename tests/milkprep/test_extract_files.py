"""Extraction of pictures and sound: files that fail are rows with a reason, and everything else is embedded."""

import os
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from media_samples import gradient, tone, write_picture, write_wav
from small_catalogue import query, tables, violations, write_catalogue

from milkprep import decode, extractors
from milkprep.encoder import EncoderOptions
from milkprep.engine import content, decoders
from milkprep.extract import ExtractReport, extract
from milkprep.extractors.colour_layout import ColourLayout
from schemas import feature_sets, fingerprint
from schemas.contracts import EncoderIdentity, Modality
from schemas.reporting import Silent
from schemas.store import Store

ENCODERS = {Modality.VISUAL: "colour-layout", Modality.AUDIO: "log-mel"}


def run(path, modality: Modality, **options) -> ExtractReport:
    return extract(path, modality=modality, encoder=ENCODERS[modality], as_default=True, reporter=Silent(), **options)


def vector_of(file, modality: Modality) -> np.ndarray:
    encoder = extractors.resolve(modality, ENCODERS[modality]).build(EncoderOptions())
    return encoder.encode([encoder.decode(file)])[0]


@pytest.fixture
def pictures(tmp_path):
    """Items 0 and 1 share a content, 2 has two pictures, 3 a broken and a good one, 4 to 8 have none that is any good."""
    good = [write_picture(tmp_path / f"{n}.png", np.roll(gradient(), 20 * n, axis=1)) for n in range(4)]
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(good[0].read_bytes())
    short = tmp_path / "short.png"
    short.write_bytes(good[0].read_bytes()[:-30])
    page = tmp_path / "page.jpg"
    page.write_text("<html>404</html>")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    files = {
        0: [good[0]],
        1: [copy],
        2: [good[1], good[2]],
        3: [short, good[3]],
        4: [page],
        5: [tmp_path / "gone.jpg"],
        6: [empty],
        7: ["https://x.org/a.jpg"],
    }
    return write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 9, files={Modality.VISUAL: files})


def test_pictures_that_can_be_read_are_embedded_and_the_others_say_why_not(pictures):
    report = run(pictures, Modality.VISUAL)
    assert query(pictures, "SELECT item_idx, visual, visual_reason FROM modality_availability ORDER BY item_idx") == [
        (0, True, None), (1, True, None), (2, True, None), (3, True, None),
        (4, False, "not a picture of a known format"), (5, False, "there is no such file"), (6, False, "the file is empty"),
        (7, False, "address not fetched"), (8, False, "no visual file"),
    ]  # fmt: skip
    assert (report.n_items, report.n_contents, report.n_embedded_now, report.n_failed, report.n_without) == (4, 4, 4, 4, 5)
    assert violations(pictures) == {}


def test_the_state_of_every_file_is_in_assets_and_refused_ones_in_rejects(pictures):
    run(pictures, Modality.VISUAL)
    states = query(pictures, "SELECT item_idx, position, status, reason FROM assets WHERE modality = 'visual' AND item_idx IN (2, 3, 4) ORDER BY ALL")
    assert states == [
        (2, 0, "ok", None), (2, 1, "ok", None), (3, 0, "decode_error", "the picture is broken or cut short"), (3, 1, "ok", None),
        (4, 0, "decode_error", "not a picture of a known format"),
    ]  # fmt: skip
    rejects = query(pictures, "SELECT source, line, reason, detail, text_start FROM rejects ORDER BY detail")
    assert [row[3] for row in rejects] == [
        "not a picture of a known format", "the file is empty", "the picture is broken or cut short", "there is no such file",
    ]  # fmt: skip
    assert rejects[0] == ("visual", None, "decode_error", "not a picture of a known format", str(pictures.parent / "page.jpg"))


def test_a_digest_names_the_content_and_equal_files_share_a_vector(pictures):
    run(pictures, Modality.VISUAL)
    shared = fingerprint.of_file(pictures.parent / "0.png")
    assert query(pictures, f"SELECT item_idx FROM feature_rows WHERE content_sha256 = '{shared}' ORDER BY 1") == [(0,), (1,)]
    assert query(pictures, f"SELECT item_idx FROM assets WHERE content_sha256 = '{shared}' ORDER BY 1") == [(0,), (1,)]


def test_several_pictures_of_an_item_are_averaged(pictures):
    run(pictures, Modality.VISUAL)
    expected = (vector_of(pictures.parent / "1.png", Modality.VISUAL) + vector_of(pictures.parent / "2.png", Modality.VISUAL)) / 2
    (found,) = query(pictures, "SELECT vector FROM features_visual WHERE item_idx = 2")[0]
    np.testing.assert_allclose(np.array(found), expected, rtol=1e-5, atol=1e-6)


def test_a_finished_run_does_not_try_failed_files_again_and_changes_nothing(pictures, monkeypatch):
    run(pictures, Modality.VISUAL)
    before = tables(pictures)
    monkeypatch.setattr(decode, "digest", lambda *a, **k: pytest.fail("a file was read again"))
    assert run(pictures, Modality.VISUAL).n_embedded_now == 0
    assert tables(pictures) == before


def test_a_picture_that_only_one_encoder_refuses_is_tried_once_and_counted_every_time(pictures, monkeypatch):
    other = ColourLayout(normalise=True)
    assert run(pictures, Modality.VISUAL).n_failed == 4
    tried = []

    def refuse(self, file):
        tried.append(file.name)
        if file.name == "0.png":
            raise decode.undecodable("too plain")
        return decoded(self, file)

    decoded = ColourLayout.decode
    monkeypatch.setattr(ColourLayout, "decode", refuse)
    monkeypatch.setattr(decoders, "of", lambda encoder, n_workers: decoders.ThreadDecoder(encoder))  # here, where the encoder is patched
    report = run(pictures, Modality.VISUAL, options=EncoderOptions(normalise=True))
    assert report.feature_set.identity == replace(other.identity, parameters={**other.identity.parameters, "several": "mean"})
    assert (report.n_items, report.n_failed) == (2, 6)  # items 0 and 1 share the content
    assert sorted(tried) == ["0.png", "1.png", "2.png", "3.png", "page.jpg", "short.png"]
    tried.clear()
    before = tables(pictures)
    assert run(pictures, Modality.VISUAL, options=EncoderOptions(normalise=True)).n_failed == 6
    assert tried == []
    assert tables(pictures) == before
    assert run(pictures, Modality.VISUAL).n_failed == 4
    assert tried == []
    assert violations(pictures) == {}


def test_a_file_put_right_and_pending_again_is_embedded(pictures):
    run(pictures, Modality.VISUAL)
    write_picture(pictures.parent / "gone.jpg")
    with Store(pictures, mode="write") as store:
        store.run("UPDATE assets SET status = 'pending', reason = 'file not read yet' WHERE item_idx = 5 AND modality = 'visual'")
    assert run(pictures, Modality.VISUAL).n_embedded_now == 1
    assert query(pictures, "SELECT n_items, n_failed FROM feature_sets") == [(5, 3)]


def test_pages_do_not_change_the_store(pictures, tmp_path, monkeypatch):
    run(pictures, Modality.VISUAL)
    expected = tables(pictures)
    with Store(pictures, mode="read") as store:
        locations = store.query("SELECT item_idx, location FROM assets WHERE modality = 'visual' ORDER BY item_idx, position").rows()
    files = {}
    for item, location in locations:
        files.setdefault(item, []).extend([location if "://" in location else tmp_path / location] if location else [])
    other = write_catalogue(tmp_path / "other.duckdb", [("a", None)] * 9, files={Modality.VISUAL: files})
    monkeypatch.setitem(content.PAGE_ITEMS, Modality.VISUAL, 2)
    run(other, Modality.VISUAL, batch_size=1)
    assert tables(other) == expected


def test_every_kind_of_useless_sound_has_its_own_status(tmp_path):
    files = {
        0: [write_wav(tmp_path / "0.wav", tone(0.5))],
        1: [write_wav(tmp_path / "1.wav", tone(0.01))],
        2: [write_wav(tmp_path / "2.wav", 0 * tone(1.0))],
        3: [tmp_path / "3.wav"],
        4: [tmp_path / "4.wav"],
    }
    files[3][0].write_bytes(files[0][0].read_bytes()[:4000])
    os.mkfifo(files[4][0])
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 6, files={Modality.AUDIO: files})
    report = run(path, Modality.AUDIO)
    assert query(path, "SELECT item_idx, status, reason FROM assets WHERE modality = 'audio' ORDER BY 1") == [
        (0, "ok", None), (1, "too_short", "the sound is shorter than 32 ms"), (2, "silent", "the sound is silent throughout"),
        (3, "decode_error", "the sound is cut short: its header states more than can be read"), (4, "decode_error", "not an ordinary file"),
        (5, "absent", "no audio file"),
    ]  # fmt: skip
    assert (report.n_items, report.n_failed, report.n_without) == (1, 4, 5)
    assert query(path, "SELECT source, reason, count(*) FROM rejects GROUP BY ALL") == [("audio", "decode_error", 4)]
    np.testing.assert_array_equal(query(path, "SELECT vector FROM features_audio")[0][0], vector_of(files[0][0], Modality.AUDIO))
    assert violations(path) == {}


def test_vectors_that_came_ready_made_have_no_file_to_read(tmp_path):
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 2, files={Modality.VISUAL: {1: [write_picture(tmp_path / "1.png")]}})
    with Store(path, mode="write") as store:
        store.run("UPDATE assets SET status = 'ok', content_sha256 = 'x', location = 'image_feat.npy' WHERE item_idx = 0 AND modality = 'visual'")
        made = feature_sets.register(store, Modality.VISUAL, EncoderIdentity("imported", "none", "", 2, "none"))
        with store.transaction():
            feature_sets.append_vectors(
                store, made, pl.DataFrame({"content_sha256": ["x"], "vector": pl.Series([[1.0, 2.0]], dtype=pl.Array(pl.Float32, 2))})
            )
            feature_sets.append_rows(store, made, pl.DataFrame({"item_idx": [0], "position": [0], "content_sha256": ["x"]}))
        feature_sets.finish(store, made, n_failed=0, seconds=0)
    report = run(path, Modality.VISUAL)
    assert (report.n_items, report.n_failed) == (1, 0)
    assert query(path, "SELECT status FROM assets WHERE item_idx = 0 AND modality = 'visual'") == [("ok",)]
