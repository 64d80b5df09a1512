"""What the documents show: Python and commands run, options and links exist, messages are true."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from humanseg.sinks.video_file import VideoFileSink
from humanseg.sources.video_file import VideoFileSource
from humanseg_cli.app import app

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), ROOT / "packaging" / "README.md"]
PYTHON_PAGES = [ROOT / "README.md", DOCS / "python.md"]
RUN_PAGES = [DOCS / f"{name}.md" for name in ("quick-start", "files", "effects", "regression")]
"""Whose commands in unnamed blocks are run, one after the other, as a reader would."""

CLIP_FRAMES = 8
DIFFERENT = 4


def blocks(path, language):
    text = path.read_text(encoding="utf-8")
    # Opening and closing fences are taken in pairs, or a closing one would pass for an opening one.
    fenced = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in fenced if name == language]


def commands(path, *languages):
    for language in languages:
        for block in blocks(path, language):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("&&"):
                    words = shlex.split(part, comments=True)
                    if words[:1] == ["humanseg"]:
                        yield words


def find_command(words):
    """The command that words call, in a group if need be."""
    command = typer.main.get_command(app)
    for word in words[1:]:
        if not hasattr(command, "commands") or word.startswith("-"):
            break
        command = command.commands[word]
    return command


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The first frames of the sample."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with (
        VideoFileSource(ROOT / "samples" / "walk.mp4") as source,
        VideoFileSink(path, replace(source.info, frame_count=CLIP_FRAMES)) as sink,
    ):
        for frame in source:
            if frame.index == CLIP_FRAMES:
                break
            sink.write(frame)
    return path


@pytest.fixture
def folder_of_a_reader(tmp_path, clip, monkeypatch):
    """The files that the documents name, small."""
    samples = tmp_path / "samples"
    samples.mkdir()
    for name in ("in.mp4", "clip.mp4", "samples/walk.mp4"):
        shutil.copy(clip, tmp_path / name)
    for name in ("beach.jpg", "portrait.png"):
        shutil.copy(ROOT / "samples" / name, samples)
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "photos/1.jpg", "photos/2.jpg"):
        shutil.copy(samples / "beach.jpg", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("page", "number", "code"),
    [
        pytest.param(page, number, code, id=f"{page.name}-{number}")
        for page in PYTHON_PAGES
        for number, code in enumerate(blocks(page, "python"), start=1)
    ],
)
def test_python_runs(page, number, code, tmp_path):
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if page.name == "README.md":
        assert re.match(r"150 frames, \d+ a second, by (openvino|torch)", done.stdout)
        assert (tmp_path / "green.mp4").stat().st_size > 100_000


def test_the_test_of_the_regression_page_runs(folder_of_a_reader):
    [code] = blocks(DOCS / "regression.md", "python")
    test = folder_of_a_reader / "test_product.py"
    test.write_text(code.replace("== 8", f"== {CLIP_FRAMES - 1}"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "humanseg.pytest_plugin"]
    usual = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for options, code in (([], 1), (["--write-masks"], 0), ([], 0)):
        done = subprocess.run([*command, *options, str(test)], env=usual, capture_output=True)
        assert done.returncode == code, done.stdout


@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda page: page.name)
def test_commands_run(page, folder_of_a_reader):
    if page.name == "regression.md":
        replacement = f"0,2,{CLIP_FRAMES - 1}"  # the clip is shorter than the sample
    done_before = set()
    for words in commands(page, ""):
        arguments = [replacement if word == "0,30,60" else word for word in words[1:]]
        done = CliRunner().invoke(app, arguments)
        allowed = {0, DIFFERENT} if words[1] == "compare" else {0}
        assert done.exit_code in allowed, f"{shlex.join(words)}: {done.stdout}{done.stderr}"
        done_before.add(words[1])
    assert done_before


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_they_are_shown_with(page):
    for words in commands(page, "", "sh"):
        if "..." in words:
            continue
        known = {name for param in find_command(words).params for name in param.opts}
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= known | {"--help", "--install-completion"}, shlex.join(words)


def test_links_between_pages_lead_somewhere():
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_found_from_another():
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+\.md)", page.read_text(encoding="utf-8"))
        if (page.parent / target).resolve() != page
    }
    missing = {page.name for page in DOCS.glob("*.md") if page not in linked} - {"README.md"}
    assert missing == set()


def test_messages_of_the_table_are_those_of_the_program():
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    table = text.partition("## Messages about files")[2].partition("\n## ")[0]
    messages = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(messages) > 15
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "humanseg").rglob("*.py"))
    for message in messages:
        for part in (part.strip() for part in message.split("...")):
            assert part in sources, message
