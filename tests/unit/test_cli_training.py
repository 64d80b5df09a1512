"""`humanseg train` and `humanseg evaluate`, with the training and the networks replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from humanseg.errors import SettingsError
from humanseg.models.registry import WEIGHTS_FOLDER
from humanseg_cli import evaluate
from humanseg_cli.app import app
from humanseg_cli.weights import named_weights

CONFIG = """
name = "small"
network = "unet"
width = 4
backgrounds = "backgrounds"
[validation]
images = "images"
masks = "masks"
[[data]]
images = "images"
masks = "masks"
[[stages]]
pixels = 6912
epochs = 1
learning_rate = 0.001
"""

Pictures = Sequence[NDArray[np.uint8]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def train(
        config: Any,
        root: Path,
        out: Path,
        *,
        resume: bool,
        weights_folder: Path,
        wandb: str,
        on_line: Callable[[str], None],
    ) -> Path:
        calls.append((config.name, root, out, resume, weights_folder, wandb))
        line = {"step": 50, "steps": 1200, "epoch": 1.5, "loss": 0.5, "dice": 0.9, "seconds": 61}
        on_line(json.dumps(line))
        return out / "small.toml"

    monkeypatch.setattr("humanseg_training.loop.train", train)
    return calls


def test_train(config: Path, calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", str(config), "--data", str(tmp_path), "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert calls == [("small", tmp_path, out, False, WEIGHTS_FOLDER, "")]
    assert "epoch 1.5, step 50 of 1,200: loss 0.5000, Dice 0.9000, 61 s" in result.stdout
    assert str(out / "small.safetensors") in result.stdout

    more = ["--resume", "--json", "--weights", str(tmp_path), "--wandb", "people"]
    result = CliRunner().invoke(app, [*arguments, *more])
    assert calls[1][3:] == (True, tmp_path, "people")
    assert json.loads(result.stdout)["weights"] == str(out / "small.safetensors")

    assert CliRunner().invoke(app, [*arguments, "--quiet"]).output == ""


def test_train_with_a_wrong_config(config: Path, tmp_path: Path) -> None:
    config.write_text(CONFIG.replace("width", "wdith"), encoding="utf-8")
    result = CliRunner().invoke(
        app, ["train", str(config), "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    )
    assert result.exit_code == 2
    assert "did you mean 'width'?" in result.stderr
    assert not (tmp_path / "run").exists()


def test_train_needs_its_folders(config: Path) -> None:
    assert CliRunner().invoke(app, ["train", str(config)]).exit_code == 2


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures: the right half of one is a person, and the other shows nobody."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name, right in (("half", 255), ("nobody", 0)):
        mask = np.zeros((48, 64), np.uint8)
        mask[:, 32:] = right
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), mask)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.full((48, 64, 3), 128, np.uint8))
    return tmp_path


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every predictor finds a person in the right half of everything."""
    chosen: list[Any] = []

    def predict(images: Pictures) -> list[NDArray[np.float32]]:
        alpha = np.zeros(images[0].shape[:2], np.float32)
        alpha[:, 32:] = 1
        return [alpha for _ in images]

    def predictor(
        names: list[str], *, flip: bool, areas: Sequence[int] = ()
    ) -> Callable[[Pictures], Any]:
        chosen.append((names, flip, *areas))
        return predict

    monkeypatch.setattr(evaluate, "make_predictor", predictor)
    return chosen


def test_evaluate(pictures: Path, chosen: list[Any]) -> None:
    arguments = ["evaluate", "unet", "hrnet", "--data", str(pictures), "--flip", "--worst", "1"]
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert chosen == [(["unet", "hrnet"], True)]
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["unet", "+", "hrnet,", "flipped", "too"] in lines
    assert ["2", "0.5000", "0.6667", "0.5000", "0.5000"] in lines
    assert ["nobody.png", "0.0000", "0.0000", "0.0000"] in lines
    assert "half.png" not in result.stdout


def test_evaluate_as_json(pictures: Path, chosen: list[Any]) -> None:
    result = CliRunner().invoke(app, ["evaluate", "unet", "--data", str(pictures), "--json"])
    table = json.loads(result.stdout)
    assert (table["pictures"], table["dice"], table["worst"]) == (2, 0.5, [])
    assert table["pooled_dice"] == pytest.approx(2 / 3)


def test_evaluate_in_several_sizes(pictures: Path, chosen: list[Any]) -> None:
    arguments = ["evaluate", "unet", "--data", str(pictures), "--area", "9216", "--area", "27648"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert chosen == [(["unet"], False, 9216, 27648)]
    assert json.loads(result.stdout)["areas"] == [9216, 27648]
    result = CliRunner().invoke(app, arguments)
    assert result.stdout.startswith("unet, at 9,216 and 27,648 pixels\n")
    result = CliRunner().invoke(app, [*arguments, "--area", "0"])
    assert result.exit_code == 2
    assert "--area" in result.stderr


def test_evaluate_names_a_missing_folder(pictures: Path, chosen: list[Any]) -> None:
    result = CliRunner().invoke(
        app, ["evaluate", "unet", "--data", str(pictures), "--images", "pictures"]
    )
    assert result.exit_code == 2
    assert str(pictures / "pictures") in result.stderr


def test_evaluate_names_missing_weights(pictures: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "nosuch", "--data", str(pictures)])
    assert result.exit_code == 2
    assert "nosuch" in result.stderr


def test_a_preset_decides_about_flipping(pictures: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "best", "--data", str(pictures), "--flip"])
    assert result.exit_code == 2
    assert "--flip and --area" in result.stderr


def test_weights_are_names_or_files_of_one_folder(tmp_path: Path) -> None:
    assert named_weights(["unet", "hrnet"]) == (["unet", "hrnet"], WEIGHTS_FOLDER)
    files = [str(tmp_path / f"{name}.safetensors") for name in ("a", "b.1")]
    assert named_weights(files) == (["a", "b.1"], tmp_path)
    with pytest.raises(SettingsError, match="different folders"):
        named_weights(["unet", files[0]])


def test_fit_ensemble(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from humanseg_training import ensemble_fit

    seen: list[Any] = []

    def fit(names: list[str], *given: Any, **options: Any) -> dict[str, float]:
        seen.append((names, options))
        return {"one": 0.25, "two": 0.75}

    monkeypatch.setattr(ensemble_fit, "fit_ensemble", fit)
    files = [str(tmp_path / f"{name}.safetensors") for name in ("one", "two")]
    arguments = ["fit-ensemble", *files, "--config", str(config), "--data", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert seen == [(["one", "two"], {"holdout": 20, "halved": [], "folder": tmp_path})]
    assert ["two", "0.7500", "full"] in [line.split() for line in result.stdout.splitlines()]
    assert "two = 0.75" in (tmp_path / "ensemble.shares").read_text()

    result = CliRunner().invoke(app, [*arguments, "--halved", "two"])
    assert seen[-1][1]["halved"] == ["two"]
    assert ["two", "0.7500", "half"] in [line.split() for line in result.stdout.splitlines()]
    assert 'halved = ["two"]' in (tmp_path / "ensemble.shares").read_text()
    result = CliRunner().invoke(app, [*arguments, "--halved", "two", "--json"])
    assert json.loads(result.stdout)["halved"] == ["two"]
    result = CliRunner().invoke(app, [*arguments, "--halved", "three"])
    assert result.exit_code == 2
    assert "--halved names three" in result.stderr

    other = str(tmp_path / "elsewhere" / "two.safetensors")
    result = CliRunner().invoke(app, ["fit-ensemble", files[0], other, *arguments[3:]])
    assert result.exit_code == 2
    assert "different folders" in result.stderr


def test_calibrate(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from humanseg.models import registry
    from humanseg_training import calibrate

    facts = {"architecture": "linknet", "width": 4, "training": {}, "scores": {}}
    registry.save(registry.build("linknet", 4), tmp_path, "one", **facts)
    seen: list[Any] = []

    def measure(name: str, *given: Any, **options: Any) -> dict[str, tuple[float, float]]:
        seen.append((name, options))
        return {"head.1": (-1.0, 2.0)}

    monkeypatch.setattr(calibrate, "calibrate", measure)
    arguments = ["calibrate", str(tmp_path / "one.safetensors"), "--config", str(config)]
    result = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert seen == [("one", {"holdout": 20, "folder": tmp_path})]
    assert result.stdout.startswith("one: 1 convolutions, ")
    assert registry.read_ranges("one", tmp_path) == {"head.1": (-1.0, 2.0)}
    result = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path), "--json"])
    assert json.loads(result.stdout)["one"]["convolutions"] == 1


def test_relabel(pictures: Path, chosen: list[Any], monkeypatch: Any) -> None:
    from humanseg_cli import relabel

    monkeypatch.setattr(relabel, "make_predictor", evaluate.make_predictor)
    out = pictures / "soft"
    arguments = ["relabel", "unet", "--images", str(pictures / "images"), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"masks": 2, "folder": str(out)}
    mask = cv2.imread(str(out / "half.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (48, 64)
    assert (mask[:, 32:] == 255).all()
    assert (mask[:, :32] == 0).all()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "is not empty" in again.stderr
