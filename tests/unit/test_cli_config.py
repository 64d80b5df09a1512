"""`humanseg config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from humanseg.config.file import as_written, read_config
from humanseg.config.writing import template
from humanseg.live.settings import KEYS
from humanseg_cli.app import app


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own config file, which is not there yet."""
    path = tmp_path / "humanseg" / "config.toml"
    for module in ("file", "writing"):
        monkeypatch.setattr(f"humanseg.config.{module}.default_path", lambda: path)
    return path


def config(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["config", *arguments])


def rows(result: Result) -> dict[str, list[str]]:
    assert result.exit_code == 0, result.stderr
    lines = (
        line.strip().split(maxsplit=2) for line in result.stdout.splitlines()[1:] if line.strip()
    )
    return {line[0]: line[1:] for line in lines}


def test_path(path):
    assert config("path").stdout == f"{path}\n"
    assert config("path", "--config", "other.toml").stdout == "other.toml\n"
    assert json.loads(config("path", "--json").stdout) == {"path": str(path), "exists": False}


def test_init_writes_the_template_once(path):
    assert config("init").stdout == f"{path}\n"
    assert path.read_text() == template()
    path.write_text("mirror = true\n")
    refused = config("init")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "exists already" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert path.read_text() == "mirror = true\n"
    assert config("init", "--overwrite").exit_code == 0
    assert path.read_text() == template()


def test_show_tells_where_each_value_comes_from(path):
    assert "not there" in config().stdout.splitlines()[0]
    path.parent.mkdir()
    path.write_text(
        'size = "1280x720"\nmax_cpu = 150\n[profiles.call]\nkeep = "largest"\n[profiles.x]\n'
    )
    told = rows(config("show", "--profile", "call"))
    assert set(told) >= set(KEYS)
    assert told["size"] == ['"1280x720"', "line 1"]
    assert told["max_cpu"] == ["150", "line 2"]
    assert told["keep"] == ['"largest"', "line 4, profile call"]
    assert told["mirror"] == ["false", "default"]
    assert told["profiles:"] == ["call,", "x"]
    assert rows(config("show"))["keep"] == ['"all"', "default"]


def test_show_for_programs(path):
    path.parent.mkdir()
    path.write_text("feather = 2\n[profiles.call]\n")
    told = json.loads(config("--json", "--profile", "call").stdout)
    assert told["settings"]["feather"] == {"value": 2.0, "origin": f"{path}:1"}
    assert told["settings"]["size"] == {"value": None, "origin": "default"}
    assert {name: told[name] for name in ("path", "exists", "profile", "profiles")} == {
        "path": str(path),
        "exists": True,
        "profile": "call",
        "profiles": ["call"],
    }


def test_show_writes_values_as_the_file_takes_them(path):
    path.parent.mkdir()
    lines = [f"{name} = {key.example}" for name, key in KEYS.items()]
    path.write_text("\n".join(lines))
    (path.parent / "logo.png").write_bytes(b"")
    before = read_config().settings
    for key, setting in before.items():
        read = KEYS[key].read
        value = as_written(key, setting.value)
        again = read(value) if key != "max_cpu" else float(str(value)) / 100
        assert again == setting.value
    assert config().exit_code == 0


@pytest.mark.parametrize("action", ["show", "path"])
def test_mistakes_are_shown_with_their_line(path, action):
    path.parent.mkdir()
    path.write_text("\nmirorr = true\n")
    result = config(action)
    if action == "path":  # which is asked for to mend the file
        assert result.exit_code == 0
        return
    assert result.exit_code == 2
    assert f"{path}:2: there is no setting 'mirorr'" in result.stderr
    assert "did you mean 'mirror'?" in result.stderr


def test_what_is_not_there():
    assert "no such config file" in config("show", "--config", "nowhere.toml").stderr
    assert "there is no profile 'x'" in config("show", "--profile", "x").stderr
    assert config("destroy").exit_code == 2
