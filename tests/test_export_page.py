"""The commands of docs/export.md, run as they stand on a small dataset."""

import re
import shlex
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import cli
from schemas.store import Store

PAGE = Path(cli.__file__).parent / "docs" / "export.md"
SPLIT = "SELECT item_key, part, modality, lost FROM split_items JOIN split_availability USING (split_id, item_idx) JOIN items USING (item_idx)"


def test_the_commands_of_the_page_bring_a_split_back(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    pairs = sorted({(int(u), int(i)) for u, i in zip(generator.integers(20, size=300), generator.integers(40, size=300), strict=True)})
    (tmp_path / "tiktok.inter").write_text("userID\titemID\n" + "".join(f"{user}\t{item}\n" for user, item in pairs))
    for name in ("image_feat", "audio_feat"):
        np.save(tmp_path / f"{name}.npy", generator.normal(size=(40, 4)).astype("float16"))
    monkeypatch.chdir(tmp_path)
    block = re.search(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]
    for line in block.splitlines():
        result = CliRunner().invoke(cli.app, shlex.split(line)[2:])
        assert result.exit_code == 0, result.stderr
    found = []
    for name in ("tiktok.duckdb", "again.duckdb"):
        with Store(tmp_path / name, mode="read") as store:
            found.append(store.query(SPLIT).rows())
    renamed = {"audio": "text"}
    assert sorted((key, part, renamed.get(modality, modality), lost) for key, part, modality, lost in found[0]) == sorted(found[1])
    assert sum(lost for *_, lost in found[1]) == 4  # half of 4 validation and of 4 test items
