"""The export of the data on which the authors' code was recorded holds the arrays that it was given."""

import numpy as np
import pytest
from test_export_milk import export, store_of

from schemas.contracts import Modality, Setting

MODES = {"fm": (Setting.FTMT, "test"), "mm": (Setting.MTMT, "all")}


@pytest.fixture(scope="module")
def golden(real_data):
    with np.load(real_data.parent / "golden" / "published_milk.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("mode", MODES)
def test_the_arrays_and_lists_are_those_of_the_recorded_run(mode, golden, tmp_path):
    setting, variant = MODES[mode]
    new = np.isin(np.arange(80), golden["cold"])
    gone = ~golden["available"] & (new[:, None] | (mode == "mm"))
    lost = {(int(item), ("visual", "text")[column]) for item, column in np.argwhere(gone)}
    parts = (
        dict.fromkeys(range(80), "train") | dict.fromkeys(golden["val_items"].tolist(), "val") | dict.fromkeys(golden["test_items"].tolist(), "test")
    )
    pairs = [tuple(pair) for part in ("train", "val", "test") for pair in golden[part].tolist()]
    vectors = {Modality.VISUAL: golden["raw_image"], Modality.TEXT: golden["raw_text"]}
    report = export(store_of(tmp_path, pairs, vectors, setting=setting, lost=lost, parts=parts), tmp_path / "out")
    assert report.notes[0].endswith(f"--exp_mode {mode}.")
    for name in ("image", "text"):
        given = np.load(tmp_path / "out" / f"{name}_feat_missing_{variant}.npy")
        np.testing.assert_allclose(given, golden[f"{name}_missing_{variant}"], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(np.load(tmp_path / "out" / f"{name}_feat.npy"), golden[f"raw_{name}"])
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "cold_item_index.npy"), np.sort(golden["cold"]))
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "warm_missing_item_index.npy"), np.flatnonzero(gone.any(axis=1) & ~new))
    for part in ("train", "val", "test"):
        lines = [line.split(" ") for line in (tmp_path / "out" / f"{part}.txt").read_text().splitlines()]
        assert {(int(user), int(item)) for user, *items in lines for item in items} == set(map(tuple, golden[part].tolist()))
