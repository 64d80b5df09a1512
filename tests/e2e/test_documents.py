"""What the README shows: its Python runs, its commands exist with the options they are given."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path, language):
    text = path.read_text(encoding="utf-8")
    # Opening and closing fences are taken in pairs, or a closing one would pass for an opening one.
    fenced = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in fenced if name == language]


def commands(path):
    for block in blocks(path, ""):
        for line in block.splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words[:1] == ["humanseg"]:
                    yield words


def test_the_python_of_the_readme_runs(tmp_path):
    [code] = blocks(ROOT / "README.md", "python")
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"150 frames, \d+ a second, by (openvino|torch)", done.stdout)
    assert (tmp_path / "green.mp4").stat().st_size > 100_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_they_are_shown_with(page):
    for words in commands(page):
        shown = subprocess.run(
            [sys.executable, "-m", "humanseg_cli", *words[1:2], "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "200", "PATH": ""},
        ).stdout
        for option in (word for word in words if word.startswith("--")):
            assert option.split("=")[0] in shown, " ".join(words)


def test_links_between_pages_lead_somewhere():
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
