"""What the words of `humanseg live` become, beside those of the config file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

from humanseg.errors import SettingsError
from humanseg.live.settings import LiveSettings
from humanseg_cli.app import app

Asked = Callable[..., LiveSettings]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The settings that a session would be opened with."""
    seen: list[LiveSettings] = []

    def refuse(
        resolve: Callable[[str | None], LiveSettings], profile: str | None, **_: Any
    ) -> NoReturn:
        seen.append(resolve(profile))
        raise SettingsError("enough was seen")

    monkeypatch.setattr("humanseg.live.setup.open_session", refuse)

    def ask(*words: str, config: str = "") -> LiveSettings:
        path = tmp_path / "config.toml"
        path.write_text(config)
        result = CliRunner().invoke(app, ["live", "--config", str(path), *words])
        assert "enough was seen" in result.output
        return seen.pop()

    return ask


@pytest.mark.parametrize(
    ("words", "config", "strength"),
    [
        (["--blur-background"], "", 0.5),
        (["--blur-background"], "strength = 0.8", 0.8),
        (["--blur-background"], 'background = "blur:0.7"', 0.7),
        (["--blur-background"], 'background = "green"\nstrength = 0.9', 0.9),
        (["--blur-background", "0.3"], "strength = 0.8", 0.3),
        (["--blur-background", "--blur-strength", "0.2"], "strength = 0.8", 0.2),
        (["--profile", "work", "--blur-background"], "[profiles.work]\nstrength = 0.6", 0.6),
    ],
)
def test_blur_without_a_number_keeps_the_strength_that_was_set(
    words: list[str], config: str, strength: float, asked: Asked
) -> None:
    settings = asked(*words, config=config)
    assert (settings.background, settings.strength) == ("blur", strength)


@pytest.mark.parametrize(
    ("words", "config", "gate"),
    [
        ([], "", True),
        (["--no-gate"], "", False),
        ([], "gate = false", False),
        (["--gate"], "gate = false", True),
        (["--no-gate"], "gate = true", False),
    ],
)
def test_the_gate_can_be_turned_off(
    words: list[str], config: str, gate: bool, asked: Asked
) -> None:
    assert asked(*words, config=config).gate is gate


def test_a_strength_that_is_no_number_is_refused() -> None:
    result = CliRunner().invoke(app, ["live", "--blur-background=strong"])
    assert result.exit_code == 2
    assert "'strong' is not a number" in result.output
