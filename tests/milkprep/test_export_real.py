"""A split of real short videos, handed over and brought back: training sees the same, to the bit."""

import torch
from test_export_milk import brought_back, export, split_of

from milkprep import splits
from milkprep.sources import prepared
from milktrain import bundle
from schemas.contracts import Modality, Part, Setting
from schemas.reporting import Silent


def test_a_real_split_is_to_training_what_it_was(real_data, tmp_path):
    folder, store = real_data / "tiktok", tmp_path / "s.duckdb"
    features = {Modality.VISUAL: folder / "image_feat.npy", Modality.AUDIO: folder / "audio_feat.npy"}
    prepared.pull(store, interactions=folder / "tiktok.inter", features=features, reporter=Silent())
    splits.build(store, setting=Setting.MTMT, seed=0, name="said")
    report = export(store, tmp_path / "out")
    assert (report.n_users, report.n_items) == (9308, 6710)
    assert brought_back(tmp_path / "out", Setting.MTMT)[2:] == split_of(store)[2:]
    before, after = (bundle.read(tmp_path / name, split="said") for name in ("s.duckdb", "out-again.duckdb"))
    assert all(torch.equal(before.pairs[part], after.pairs[part]) for part in Part)
    assert all(torch.equal(before.items[part], after.items[part]) for part in Part)
    assert torch.equal(before.available, after.available)
    assert all(torch.equal(first.nan_to_num(9.0), second.nan_to_num(9.0)) for first, second in zip(before.features, after.features, strict=True))
