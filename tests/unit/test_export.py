"""`humanseg export`: other forms of a network give the masks that torch gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from humanseg.errors import OutputError, WeightsError  # noqa: E402
from humanseg.models import registry  # noqa: E402
from humanseg.models.ensemble import Serving  # noqa: E402
from humanseg_cli.app import app  # noqa: E402
from humanseg_training import export as exporting  # noqa: E402
from humanseg_training.export import TOLERANCE, export  # noqa: E402

NEEDS = {"onnx": "onnx", "openvino": "openvino", "torchscript": "torch"}


@pytest.fixture
def weights(tmp_path):
    """An untrained network whose masks are neither black nor white."""
    torch.manual_seed(3)
    network = registry.build("hrnet", 4)
    facts = {"architecture": "hrnet", "width": 4, "training": {}, "scores": {}}
    registry.save(network, tmp_path / "weights", "one", **facts)
    return tmp_path / "weights"


@pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated")
@pytest.mark.parametrize("form", sorted(NEEDS))
def test_each_form_agrees_with_torch(weights, tmp_path, form):
    pytest.importorskip(NEEDS[form])
    done = export(["one"], weights, form, tmp_path / f"out{exporting.ENDINGS[form]}")
    assert done.path.stat().st_size > 1000
    assert done.difference <= TOLERANCE
    # Once more from the file that was left, at a size that the export itself does not try.
    infer, _ = exporting._WAYS[form][1](done.path)
    batch = np.random.default_rng(1).integers(0, 256, (1, 208, 176, 3), np.uint8)
    with torch.inference_mode():
        expected = Serving(registry.load("one", weights))(torch.from_numpy(batch)).numpy()
    found = infer(batch)
    assert found.shape == (1, 208, 176)
    assert expected.max() - expected.min() > 0.05
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_a_form_that_differs_is_not_written(weights, tmp_path, monkeypatch):
    way = exporting._WAYS["torchscript"]
    wrong = (way[0], lambda path: ((lambda batch: np.zeros(batch.shape[:3], np.float32)), "zeros"))
    monkeypatch.setitem(exporting._WAYS, "torchscript", wrong)
    with pytest.raises(OutputError, match="differ from torch's by 0"):
        export(["one"], weights, "torchscript", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()


def test_missing_weights_are_named(weights, tmp_path):
    with pytest.raises(WeightsError, match="no weights 'three'"):
        export(["three"], weights, "torchscript", tmp_path / "out.pt")


def test_a_missing_package_is_named_with_its_pip_line(weights, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    arguments = ["export", str(weights / "one.safetensors"), "--to", "onnx"]
    result = CliRunner(env={"COLUMNS": "300"}).invoke(
        app, [*arguments, "--out", str(tmp_path / "out.onnx")]
    )
    assert result.exit_code == 2
    assert "pip install 'humanseg[export]'" in result.stderr


def test_the_command(weights, tmp_path):
    out = tmp_path / "deep" / "net.pt"
    arguments = ["export", str(weights / "one.safetensors"), "--to", "torchscript"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["file"] == str(out)
    assert told["difference"] <= TOLERANCE
    assert out.exists()
