"""Decoding in other processes: the same arrays as here, in order, and a file that ends its process takes only itself with it."""

import sys
import time

import numpy as np
import pytest
from media_samples import gradient, write_picture
from small_catalogue import query, violations, write_catalogue

from milkprep import extract
from milkprep.decode import DecodeFailure
from milkprep.encoder import EncoderOptions
from milkprep.engine import decoders
from milkprep.extractors import hashed_ngrams, resolve
from schemas import fingerprint
from schemas.contracts import AssetStatus, Modality
from schemas.errors import DataError
from schemas.reporting import Silent

#: What a decoding process runs first: pictures of these names end it, or keep it.
DEADLY = """
import os, signal, time
from milkprep.extractors import colour_layout

sound = colour_layout.preparer
def preparer(preparation):
    prepare = sound(preparation)
    def prepared(path):
        if path.name.startswith("deadly"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.name.startswith("endless"):
            time.sleep(600)
        print("words of a library")
        return prepare(path)
    return prepared
colour_layout.preparer = preparer
"""


@pytest.fixture
def encoder():
    return resolve(Modality.VISUAL, "colour-layout").build(EncoderOptions())


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """Decoding processes that some files end."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(DEADLY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.setattr(decoders, "PATIENCE_S", 8.0)


def pictures(folder, names) -> list:
    return [write_picture(folder / f"{name}.png", np.roll(gradient(), 5 * n, axis=1)) for n, name in enumerate(names)]


def by_digest(files) -> dict:
    return {fingerprint.of_file(file): file for file in files}


def answers(encoder, files, *, n_workers: int, at_once: int) -> list:
    using = decoders.ProcessDecoders(encoder, n_workers=n_workers)
    try:
        futures = [using.submit(by_digest(files[start : start + at_once])) for start in range(0, len(files), at_once)]
        return [answer.value for future in futures for answer in future.result()]
    finally:
        using.close()


@pytest.mark.parametrize(("n_workers", "at_once"), [(1, 1), (2, 3), (3, 40)])
def test_arrays_come_in_the_order_of_the_files_and_are_those_of_the_encoder(tmp_path, encoder, n_workers, at_once):
    files = pictures(tmp_path, [f"p{n}" for n in range(7)])
    (tmp_path / "no picture\n.png").write_bytes(b"no picture")
    files.insert(3, tmp_path / "no picture\n.png")
    found = answers(encoder, files, n_workers=n_workers, at_once=at_once)
    assert isinstance(found[3], DecodeFailure)
    assert (found[3].status, found[3].reason) == (AssetStatus.DECODE_ERROR, "not a picture of a known format")
    for file, value in zip(files[:3] + files[4:], found[:3] + found[4:], strict=True):
        np.testing.assert_array_equal(value, encoder.decode(file), strict=True)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_file_that_ends_or_keeps_its_process_fails_alone(tmp_path, encoder, deadly, n_workers):
    names = ["a", "deadly 1", "deadly 2", "b", "endless", "c", "deadly 3"]
    found = answers(encoder, pictures(tmp_path, names), n_workers=n_workers, at_once=4)
    assert [isinstance(value, DecodeFailure) for value in found] == [False, True, True, False, True, False, True]
    assert {value.reason for value in found if isinstance(value, DecodeFailure)} == {decoders.DEADLY}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere systems do not bound the memory that is mapped")
def test_a_picture_that_takes_too_much_memory_fails_alone(tmp_path, encoder, monkeypatch):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text("from milkprep.decode import limits\nlimits.MOST_MEMORY = 96 << 20")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    large = write_picture(tmp_path / "large.png", np.zeros((6000, 6000, 3), dtype=np.uint8))
    files = pictures(tmp_path, ["a", "b"])
    found = answers(encoder, [files[0], large, files[1]], n_workers=1, at_once=3)
    assert (found[1].status, found[1].reason) == (AssetStatus.DECODE_ERROR, "the picture takes too much memory to decode")
    np.testing.assert_array_equal(found[2], encoder.decode(files[1]))


@pytest.mark.parametrize("change", ["other", "removed", "broken"])
def test_a_file_that_changed_since_it_was_listed_has_no_vector(tmp_path, encoder, change):
    files = pictures(tmp_path, ["a", "b", "c"])
    listed = by_digest(files)
    if change == "removed":
        files[1].unlink()
    else:
        files[1].write_bytes(files[2].read_bytes() if change == "other" else b"no picture")
    using = decoders.ProcessDecoders(encoder, n_workers=1)
    found = [answer.value for answer in using.submit(listed).result()]
    using.close()
    assert (found[1].status, found[1].reason) == (AssetStatus.DECODE_ERROR, "the file was changed or removed while it was read")
    np.testing.assert_array_equal(found[0], encoder.decode(files[0]))
    np.testing.assert_array_equal(found[2], encoder.decode(files[2]))


def test_decoders_that_are_closed_start_no_more_processes(tmp_path, encoder, deadly):
    using = decoders.ProcessDecoders(encoder, n_workers=1)
    future = using.submit(by_digest(pictures(tmp_path, ["endless", "a", "b"])))
    while not using._all[0]._process.is_running:
        time.sleep(0.01)
    using.close()
    assert future.done()
    assert not using._all[0]._process.is_running


def test_an_extraction_goes_on_after_a_file_that_ends_its_decoder(tmp_path, deadly):
    files = pictures(tmp_path, ["a", "deadly", "b"])
    path = write_catalogue(tmp_path / "s.duckdb", [("a", None)] * 3, files={Modality.VISUAL: {n: [file] for n, file in enumerate(files)}})
    report = extract.extract(path, modality=Modality.VISUAL, encoder="colour-layout", reporter=Silent())
    assert (report.n_items, report.n_failed) == (2, 1)
    assert query(path, "SELECT visual_reason FROM modality_availability WHERE NOT visual") == [(decoders.DEADLY,)]
    assert violations(path) == {}


def test_a_process_that_does_not_start_is_an_error_not_a_failure_of_every_file(tmp_path, encoder, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DataError, match=r"does not start.*python -m milkprep\.engine\.decoder.*colour-layout"):
        answers(encoder, pictures(tmp_path, ["a"]), n_workers=1, at_once=1)


def test_texts_are_decoded_in_order():
    encoder = hashed_ngrams.build(EncoderOptions())
    using = decoders.of(encoder, n_workers=2)
    found = [answer.value for answer in using.submit({"1": "a card", "2": " ", "3": "b"}).result()]
    using.close()
    assert [isinstance(value, DecodeFailure) for value in found] == [False, True, False]
    np.testing.assert_array_equal(found[2][0], encoder.decode("b")[0])
