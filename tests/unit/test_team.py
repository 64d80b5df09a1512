"""Several processes train as one does, and a killed run goes on as if nothing had happened."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("albumentations", reason="the extra 'training' is not installed")

from humanseg.errors import SettingsError  # noqa: E402
from humanseg_training.team import SharedBatchNorm, Team  # noqa: E402

PEAK, STEPS = 2e-3, 10
MEAN = 0.2 * PEAK
TOLERANCE = PEAK
"""How far one process and two may be apart after ten steps in float32. Sums are taken in another
order, and Adam divides the smallest gradients by themselves, so a few weights may go the other way,
a peak learning rate with each step; on the average a number moves by far less, and so does the
loss."""

CONFIG = """
name = "tiny"
network = "linknet"
width = 4
batch = 4
holdout = 6
backgrounds = "walls"
precision = "f32"
device = "cpu"
checkpoint_seconds = 0.0
score_epochs = 2
consistency = 0.5
consistency_view = "motion"
boundary = 2.0
[validation]
images = "valid/images"
masks = "valid/masks"
[[data]]
images = "train/images"
masks = "train/masks"
weight = 0.7
[[stages]]
pixels = 1024
epochs = 2
learning_rate = 0.002
"""


@pytest.fixture
def config(root):
    path = root / "tiny.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def start(config, out, *more, rank=0, size=1, port=0):
    where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size}
    where |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    environment = {**os.environ, **{key: str(value) for key, value in where.items()}}
    command = [sys.executable, "-m", "humanseg_cli", "train", str(config)]
    folders = ["--data", str(config.parent), "--out", str(out)]
    return subprocess.Popen(
        [*command, *folders, *more], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(*processes):
    for process in processes:
        output, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors.decode() + output.decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read(out):
    return torch.load(out / "checkpoint.pt", weights_only=True)


def largest_difference(one, other):
    assert one.keys() == other.keys()
    return max(float((one[key].float() - other[key].float()).abs().max()) for key in one)


def mean_difference(one, other):
    total = sum(float((one[key].float() - other[key].float()).abs().sum()) for key in one)
    return total / sum(value.numel() for value in one.values())


def test_two_processes_give_what_one_gives_and_a_killed_run_goes_on(config, root):
    alone, killed = start(config, root / "alone"), start(config, root / "killed")
    checkpoint = root / "killed" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    # Ends only when the loading process, which holds its output, too, has noticed.
    killed.communicate(timeout=60)
    done = read(root / "killed")["step"]
    finish(alone)
    whole = read(root / "alone")
    assert 0 < done < whole["step"]

    port = free_port()
    pair = [start(config, root / "pair", rank=rank, size=2, port=port) for rank in range(2)]
    again = start(config, root / "killed", "--resume")
    finish(again, *pair)

    # The very numbers: batches, optimiser and random states are those of the run that went through.
    resumed = read(root / "killed")
    assert resumed["step"] == whole["step"]
    for key in ("network", "average"):
        assert largest_difference(whole[key], resumed[key]) == 0
    moments = [list(run["optimizer"]["state"].values()) for run in (whole, resumed)]
    for before, after in zip(*moments, strict=True):
        assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.equal(whole["random"]["torch"], resumed["random"]["torch"])

    shared = read(root / "pair")
    assert shared["step"] == whole["step"]
    assert 0 < largest_difference(whole["network"], shared["network"]) < STEPS * PEAK
    assert mean_difference(whole["network"], shared["network"]) < MEAN
    kept = [run["optimizer"]["state"].keys() for run in (whole, shared)]
    assert kept[0] == kept[1]
    logs = [(root / name / "log.jsonl").read_text().splitlines() for name in ("alone", "pair")]
    first, second = (json.loads(lines[-1]) for lines in logs)
    assert second["loss"] == pytest.approx(first["loss"], abs=TOLERANCE)


def test_a_batch_must_be_shared_evenly(config, root):
    port = free_port()
    config.write_text(CONFIG.replace("batch = 4", "batch = 5"), encoding="utf-8")
    pair = [start(config, root / "pair", rank=rank, size=2, port=port) for rank in range(2)]
    for process in pair:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "cannot share a batch of 5" in " ".join(errors.decode().split())


def test_cuda_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="no CUDA device"):
        Team("cuda")
    assert Team("auto").device.type == "cpu"


def test_a_shared_batch_norm_of_one_process_is_the_usual_one(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        usual, shared = torch.nn.BatchNorm2d(5), SharedBatchNorm(5)
        features = 3 + 2 * torch.randn(4, 5, 6, 7)
        results, gradients = [], []
        for norm in (usual, shared):
            given = features.clone().requires_grad_()
            result = norm(given)
            result.pow(3).sum().backward()
            results.append(result.detach())
            gradients.append(given.grad)
        torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-4)
        for key, value in usual.state_dict().items():
            torch.testing.assert_close(shared.state_dict()[key], value)
        torch.testing.assert_close(shared.eval()(features), usual.eval()(features))
    finally:
        torch.distributed.destroy_process_group()
