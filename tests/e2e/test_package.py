"""What the wheel holds, and what it does not."""

import importlib
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from humanseg.models import registry
from humanseg.settings import PRESETS

ROOT = Path(__file__).parent.parent.parent
LARGEST_WEIGHTS = 40_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield path.name, {info.filename: info.file_size for info in opened.infolist()}


def test_the_commands_of_the_readme_work_in_the_source_package(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"constraints.txt", "Makefile", "samples/walk.mp4", "pyproject.toml"} <= names


def test_only_our_three_names_reach_site_packages(wheel):
    name, files = wheel
    tops = {path.split("/")[0] for path in files}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {
        "humanseg",
        "humanseg_cli",
        "humanseg_training",
    }
    assert name.endswith("-py3-none-any.whl")


def test_all_three_say_that_they_are_typed(wheel):
    _, files = wheel
    for package in ("humanseg", "humanseg_cli", "humanseg_training"):
        assert f"{package}/py.typed" in files


def test_man_page_icon_and_menu_entry_go_where_systems_look(wheel):
    _, files = wheel
    under_prefix = {path.partition(".data/data/")[2] for path in files if ".data/data/" in path}
    assert under_prefix == {
        "share/man/man1/humanseg.1",
        "share/applications/humanseg.desktop",
        "share/icons/hicolor/scalable/apps/humanseg.svg",
        "share/icons/hicolor/256x256/apps/humanseg.png",
    }


def test_nothing_of_tests_and_samples_is_inside(wheel):
    _, files = wheel
    assert not [path for path in files if Path(path).suffix in (".mp4", ".mkv", ".pyc", ".npz")]
    assert not [path for path in files if Path(path).name.startswith("test_")]


def test_command_and_fixture_are_found_by_their_entry_points():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    targets = [*project["scripts"].values(), *project["entry-points"]["pytest11"].values()]
    for target in targets:
        module, _, name = target.partition(":")
        assert hasattr(importlib.import_module(module), name or "assert_masks_close")


def test_the_page_is_inside_with_all_it_loads(wheel):
    _, files = wheel
    page = ROOT / "humanseg" / "web" / "static"
    for name in ("index.html", "style.css", "icon.svg", *(path.name for path in page.glob("*.js"))):
        assert f"humanseg/web/static/{name}" in files


def test_weights_and_configs_of_every_preset_are_inside(wheel):
    _, files = wheel
    for name in {name for preset in PRESETS.values() for name in preset.models}:
        assert f"humanseg/weights/{name}.toml" in files
        assert f"humanseg/weights/{name}.safetensors" in files
        assert f"humanseg_training/configs/{name}.toml" in files
    assert f"humanseg/weights/{registry.SHARES_FILE}" in files


def test_weights_stay_small_and_free_of_pickle(wheel):
    _, files = wheel
    weights = {path: size for path, size in files.items() if path.startswith("humanseg/weights/")}
    assert sum(weights.values()) <= LARGEST_WEIGHTS
    assert {Path(path).suffix for path in weights} == {
        ".toml",
        ".safetensors",
        ".shares",
        ".ranges",
    }


def test_the_licence_of_no_required_package_is_copyleft():
    """pyvirtualcam (GPL-2) and whatever else is optional stays in its extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = " ".join(project["dependencies"])
    assert "pyvirtualcam" not in required
    assert any("pyvirtualcam" in line for line in project["optional-dependencies"]["live"])
    everything = required + str(project["optional-dependencies"])
    assert "opencv-python-headless" not in everything
    assert "albumentations" not in everything
