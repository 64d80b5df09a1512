"""`humanseg snapshot` and `humanseg compare`: what they print, the page, and how they end."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from humanseg.errors import SettingsError
from humanseg_cli.app import app
from humanseg_cli.compare_page import mask_change
from humanseg_cli.snapshot import parse_frames

PORTRAIT = Path(__file__).parent.parent.parent / "samples" / "portrait.png"


def run(*arguments):
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, [str(word) for word in arguments])


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taken") / "before"
    done = run("snapshot", PORTRAIT, folder, "--preset", "fast")
    assert done.exit_code == 0, done.stderr
    assert "1 frame by fast on " in done.stdout
    return folder


@pytest.fixture
def after(before, tmp_path):
    """The same, but for a bite taken out of the mask, and a name that wants to be HTML."""
    folder = tmp_path / "after"
    shutil.copytree(before, folder)
    mask = cv2.imread(str(folder / "mask-000000.png"), cv2.IMREAD_GRAYSCALE)
    mask[300:] = 0
    assert cv2.imwrite(str(folder / "mask-000000.png"), mask)
    stored = json.loads((folder / "snapshot.json").read_text())
    stored["frames"][0]["name"] = "<script src=https://example.org/x.js></script>"
    (folder / "snapshot.json").write_text(json.dumps(stored))
    return folder


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses = [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_page_stands_alone(before, after):
    done = run("compare", before, after)
    assert done.exit_code == 0, done.stderr
    page = Page(after / "compare.html")
    assert page.tags.count("img") == 5
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert not re.search(r"url\(|@import", (after / "compare.html").read_text())


@pytest.mark.parametrize(
    ("limits", "code", "words"),
    [
        (["--min-iou", "0.2", "--max-difference", "0.9"], 0, ""),
        (["--min-iou", "0.99"], 4, "IoU below 0.99 in frame 0"),
        (["--max-difference", "0.01"], 4, "mean difference above 0.01 in frame 0"),
    ],
)
def test_limits_decide_how_it_ends(before, after, limits, code, words):
    done = run("compare", before, after, "--no-html", *limits)
    assert done.exit_code == code
    assert words in done.stderr
    assert not (after / "compare.html").exists()
    same = run("compare", before, before, "--no-html", "--min-iou", "1", "--max-difference", "0")
    assert same.exit_code == 0


def test_json_has_all_figures(before, after, tmp_path):
    page = tmp_path / "page.html"
    done = run("compare", before, after, "--json", "--min-iou", "1", "--html", page)
    told = json.loads(done.stdout)
    assert done.exit_code == 4
    assert done.stderr == ""
    assert told["min_iou"] == told["frames"][0]["iou"] < 0.9
    assert told["beyond_limits"] == ["IoU below 1 in frame 0"]
    assert told["html"] == str(page)
    assert page.exists()


def test_a_wrong_folder_is_two_lines(before, tmp_path):
    done = run("compare", before, tmp_path)
    assert done.exit_code == 2
    assert "is no snapshot" in done.stderr
    assert "Next step: " in done.stderr


def test_lists_of_frames():
    assert parse_frames("0, 30,60") == [0, 30, 60]
    for wrong in ("", "1-3", "1,,2", "-1", "one", "1.5", "²"):
        with pytest.raises(SettingsError):
            parse_frames(wrong)


def test_colours_tell_who_lost_the_pixel():
    full, empty = np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)
    assert mask_change(full, empty)[0, 0].tolist() == [0, 0, 255]
    assert mask_change(empty, full)[0, 0].tolist() == [255, 0, 0]
    assert len(set(mask_change(full, full)[0, 0].tolist())) == 1
