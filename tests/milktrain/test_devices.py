"""Which device a name means; what a GPU does differently, where there is one."""

import planted
import pytest
import torch
from safetensors.torch import load_file

from milkprep import splits
from milktrain import config, devices, recipe
from schemas.contracts import Setting
from schemas.errors import BadValue, UnknownName
from schemas.reporting import Silent

ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU here")
CHANGES = {"max_epochs": "40", "batch_size": "128", "learning_rate": "0.01", "dim": "16", "beta": "1"}


@pytest.fixture
def gpus(monkeypatch):
    """Make torch say that there are so many GPUs."""

    def pretend(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    return pretend


@pytest.mark.parametrize(
    ("n_gpus", "name", "expected"),
    [(0, "cpu", "cpu"), (0, "auto", "cpu"), (2, "cpu", "cpu"), (2, "auto", "cuda"), (2, "cuda", "cuda"), (2, "cuda:1", "cuda:1")],
)
def test_a_name_means_a_device(gpus, n_gpus, name, expected):
    gpus(n_gpus)
    assert devices.choose(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("n_gpus", "name", "words"),
    [
        (0, "cuda", "--device cuda: torch sees no GPU here. Take --device cpu, or auto."),
        (0, "cuda:0", "--device cuda:0: torch sees no GPU here"),
        (1, "cuda:1", "--device cuda:1: torch sees 1 GPU here, cuda:0."),
        (4, "cuda:9", "--device cuda:9: torch sees 4 GPUs here, cuda:0 to cuda:3."),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_with_those_that_are(gpus, n_gpus, name, words):
    gpus(n_gpus)
    with pytest.raises(BadValue, match=f"^{words}"):
        devices.choose(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:one", "cpu:0", "CUDA", ""])
def test_what_is_no_device_is_answered_with_the_names(name):
    with pytest.raises(UnknownName, match=r"auto.*cpu.*cuda"):
        devices.choose(name)


def test_half_the_precision_is_for_gpus(gpus):
    gpus(1)
    assert devices.choose("auto", precision="bfloat16").type == "cuda"
    with pytest.raises(BadValue, match="bfloat16 needs a GPU"):
        devices.choose("cpu", precision="bfloat16")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = planted.fill(tmp_path_factory.mktemp("devices") / "planted.duckdb")
    splits.build(path, setting=Setting.FTMT, seed=0)
    return path


def _train(path, folder, *, device, watch=None, **changes):
    settings = config.load(changes=CHANGES | changes)
    return recipe.train(
        path, split="ftmt-0", config=settings, runs_folder=folder, reporter=Silent(), device=device, watch=watch, save_every_s=0.0
    )  # fmt: skip


def test_a_forward_pass_of_half_the_precision_trains_weights_of_whole_precision(path, tmp_path, monkeypatch):
    # It is refused on a processor because it is slow there, not because it could not be computed.
    monkeypatch.setattr(devices, "choose", lambda name, precision: torch.device("cpu"))
    half, whole = (_train(path, tmp_path, device="cpu", precision=precision, max_epochs="4") for precision in ("bfloat16", "float32"))
    weights, others = (load_file(run.folder / "model.safetensors") for run in (half, whole))
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert not torch.equal(weights["users.weight"], others["users.weight"])
    torch.testing.assert_close(weights["users.weight"], others["users.weight"], rtol=0, atol=0.05)  # 4 epochs of 6 steps of 0.01 move a weight by 0.2


@ON_A_GPU
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adam", "sparse_adam"])
def test_a_gpu_finds_the_planted_tastes_in_a_run_of_its_own(path, tmp_path, precision, optimizer):
    there = _train(path, tmp_path, device="cuda", precision=precision, optimizer=optimizer)
    assert there.manifest["device"] == "cuda"
    assert there.manifest["metrics"]["test"]["recall@10"] > 0.9
    if precision == "float32":
        assert _train(path, tmp_path, device="cpu", optimizer=optimizer).run_id != there.run_id


@ON_A_GPU
def test_a_training_on_a_gpu_goes_on_where_it_was_stopped(path, tmp_path):
    class Stopped(Exception):
        """Ends a training where it is."""

    def stop(row):
        if row["epoch"] == 20:
            raise Stopped

    with pytest.raises(Stopped):
        _train(path, tmp_path, device="cuda", watch=stop)
    resumed = _train(path, tmp_path, device="cuda")
    assert resumed.resumed_at == 20
    assert resumed.manifest["metrics"]["test"]["recall@10"] > 0.9
