from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from humanseg.errors import MissingExtraError, SettingsError
from humanseg.models import registry
from humanseg_cli import checks
from humanseg_cli.app import app
from humanseg_cli.checks import Check, State


def _groups(monkeypatch: pytest.MonkeyPatch, *states: State) -> None:
    found = [Check(f"part {state}", state, "a [detail]", "do this") for state in states]
    monkeypatch.setattr(checks, "GROUPS", {"Title": lambda: found})


@pytest.mark.parametrize(
    ("states", "code", "verdict"),
    [
        (("ok", "note"), 0, "everything is in order"),
        (("ok", "warning"), 0, "see the warnings"),
        (("ok", "warning", "problem"), 1, "1 problem to mend"),
        (("problem", "problem"), 1, "2 problems to mend"),
    ],
)
def test_verdict_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, states: tuple[State, ...], code: int, verdict: str
) -> None:
    _groups(monkeypatch, *states)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == code
    assert verdict in result.stdout
    assert "a [detail]" in result.stdout
    assert "do this" in result.stdout


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    _groups(monkeypatch, "ok", "problem")
    result = CliRunner().invoke(app, ["doctor", "--json"])
    table = json.loads(result.stdout)
    assert result.exit_code == 1
    assert table["problems"] == 1
    assert table["checks"][1] == {
        "name": "part problem",
        "state": "problem",
        "detail": "a [detail]",
        "hint": "do this",
    }


def _install(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    def version(name: str) -> str:
        try:
            return versions[name.replace("-", "_")]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(metadata, "version", version)


def test_two_opencvs_are_a_problem_with_its_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, opencv_python="4.12.0", opencv_python_headless="4.11.0")
    wheel = checks.check_opencv()[0]
    assert wheel.state == "problem"
    assert "opencv-python 4.12.0, opencv-python-headless 4.11.0" in wheel.detail
    assert wheel.hint == (
        "pip uninstall -y opencv-python-headless && "
        "pip install --force-reinstall --no-deps opencv-python"
    )


def test_one_opencv_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, opencv_python="4.12.0")
    assert checks.check_opencv()[0] == Check("opencv", "ok", "opencv-python 4.12.0")


def test_no_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch)
    assert checks.check_opencv()[0].hint == "pip install opencv-python"


def test_opencv_without_windows_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, opencv_python_headless="4.11.0")
    monkeypatch.setattr("cv2.getBuildInformation", lambda: "  GUI:     NONE\n")
    wheel, windows = checks.check_opencv()
    assert wheel.state == "ok"
    assert windows.state == "warning"
    assert windows.hint is not None
    assert "pip uninstall -y opencv-python-headless &&" in windows.hint


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("  GUI:                           QT5\n    QT:  YES (ver 5.15)\n", "QT5"),
        ("  GUI:                           COCOA\n", "COCOA"),
        ("  GUI:                           NONE\n    GTK+:  NO\n", None),
        ("  GUI: \n    GTK+:                        NO\n", None),
        ("no such line", None),
    ],
)
def test_window_system(text: str, found: str | None) -> None:
    assert checks.find_window_system(text) == found


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {name: "1.0" for name in checks.NEEDED if name != "av"}
    _install(monkeypatch, **needed)
    found = {check.name: check for check in checks.check_packages()}
    assert found["torch"] == Check("torch", "ok", "1.0")
    assert found["av"] == Check("av", "problem", "not installed", "pip install av")
    assert found["openvino"].state == "note"
    assert found["openvino"].hint is not None
    assert "pip install 'humanseg[openvino]'" in found["openvino"].hint


def test_encoders() -> None:
    found = {check.name: check for check in checks.check_video()}
    assert found["FFmpeg"].detail.startswith("libav")
    assert found["libx264"].state == "ok"


def test_missing_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    encoders: dict[str, State] = {"no_such_encoder": "problem", "nor_this": "note"}
    monkeypatch.setattr(checks, "ENCODERS", encoders)
    assert [check.state for check in checks.check_video()] == ["ok", "problem", "note"]


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    from humanseg.settings import PRESETS

    content = b"numbers"
    for name in {name for preset in PRESETS.values() for name in preset.models}:
        (tmp_path / f"{name}.safetensors").write_bytes(content)
        (tmp_path / f"{name}.toml").write_text(
            '[network]\nname = "unet"\nwidth = 16\nparameters = 7\n'
            f'[file]\nbytes = 7\nsha256 = "{hashlib.sha256(content).hexdigest()}"\n',
            encoding="utf-8",
        )
    monkeypatch.setattr(registry, "WEIGHTS_FOLDER", tmp_path)
    default = (tmp_path,)
    monkeypatch.setattr(registry.read_card, "__defaults__", default)
    monkeypatch.setattr(registry.available, "__defaults__", default)
    return tmp_path


def test_weights_in_order(weights: Path) -> None:
    found = checks.check_weights()
    assert len(found) == len(list(weights.glob("*.toml")))
    assert {check.state for check in found} == {"ok"}


def test_damaged_and_missing_weights_are_problems(weights: Path) -> None:
    (weights / "unet.safetensors").write_bytes(b"number!")
    (weights / "linknet.safetensors").unlink()
    (weights / "hrnet.toml").unlink()
    found = {check.name: check for check in checks.check_weights()}
    assert found["unet"].state == "problem"
    assert "checksum" in found["unet"].detail
    for name in ("linknet", "hrnet"):
        assert found[name].state == "problem"
        assert "missing" in found[name].detail
        assert "balanced" in found[name].detail
    assert found["sdunet"].state == "ok"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (MissingExtraError("is not installed", hint="pip install it"), "note"),
        (SettingsError("no such thing"), "problem"),
        (RuntimeError("illegal instruction"), "problem"),
        (ImportError("libsomething.so"), "problem"),
    ],
)
def test_engines_that_do_not_run(
    monkeypatch: pytest.MonkeyPatch, error: Exception, state: State
) -> None:
    def fail(name: str) -> tuple[str, float]:
        raise error

    monkeypatch.setattr(checks, "time_engine", fail)
    assert {check.state for check in checks.check_engines()} == {state}


def test_engines_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "time_engine", lambda name: (f"{name} cpu f32", 0.0123))
    [torch, openvino, rounded] = checks.check_engines()
    assert torch == Check("torch", "ok", "torch cpu f32: 12.3 ms a picture on one core")
    assert openvino.state == rounded.state == "ok"


def test_system_and_folders() -> None:
    assert {check.name for check in checks.check_system()} >= {"humanseg", "Python", "processor"}
    assert [check.name for check in checks.check_folders()] == ["settings", "logs"]


def test_folder_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").touch()
    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path / "log")
    assert checks.check_folders()[1].state == "warning"


def test_models_table(weights: Path) -> None:
    (weights / "unet.toml").write_text(
        (weights / "unet.toml").read_text(encoding="utf-8")
        + "[training]\nepochs = 12.5\n[scores]\ndice = 0.96125\n",
        encoding="utf-8",
    )
    stdout = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["models"]).stdout
    [row] = [line for line in stdout.splitlines() if line.strip().startswith("unet")]
    assert row.split() == ["unet", "unet", "16", "7", "0.0", "MB", "12.5", "0.9613"]
    [row] = [line for line in stdout.splitlines() if line.strip().startswith("hrnet ")]
    assert row.split()[-2:] == ["-", "-"]
    assert "each frame in two sizes, for files (unet + sdunet + linknet + hrnet)" in " ".join(
        stdout.split()
    )

    table = json.loads(CliRunner().invoke(app, ["models", "--json"]).stdout)
    assert {card["name"] for card in table["weights"]} == {
        path.stem for path in weights.glob("*.toml")
    }
    assert table["presets"]["best"]["areas"] == [20480, 76800]
