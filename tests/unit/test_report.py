"""`humanseg report`: one page that asks nothing of any server, and masks as text."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from humanseg import rle  # noqa: E402
from humanseg.models import registry  # noqa: E402
from humanseg_cli.app import app  # noqa: E402
from humanseg_training.config import DataSet  # noqa: E402
from humanseg_training.evaluate import read_truths, score  # noqa: E402
from humanseg_training.gains import measure_gains  # noqa: E402
from humanseg_training.report import (  # noqa: E402
    make_row,
    page,
    predict_entries,
    worst_first,
    write_masks,
)


@pytest.fixture
def data(tmp_path):
    """Three pictures whose left half, third and nothing are a person."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name, columns in (("half", 32), ("third", 21), ("nobody", 0)):
        mask = np.zeros((48, 64), np.uint8)
        mask[:, :columns] = 255
        picture = np.repeat(mask[..., None] // 2 + 60, 3, axis=2)
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), mask)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), picture)
    return tmp_path


def left_half(images):
    alpha = np.zeros(images[0].shape[:2], np.float32)
    alpha[:, :32] = 1
    return [alpha for _ in images]


class Page(HTMLParser):
    """Addresses, titles and the first cell of each row of the table of pictures."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.titles, self.names = [], [], []
        self._inside = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        fields = dict(attrs)
        self.addresses += [
            fields[key] for key in ("src", "href", "srcset", "data") if key in fields
        ]
        self._inside = "name" if fields.get("class") == "name" else tag

    def handle_data(self, data):
        if self._inside == "name":
            self.names.append(data)
        if self._inside == "button":
            self.titles.append(data)
        self._inside = None


def rows_of(root, masks="masks"):
    return worst_first(map(make_row, predict_entries(root, DataSet("images", masks), left_half)))


def test_the_page_shows_everything_worst_first(data):
    text = page("mine", "three pictures", rows_of(data), [])
    shown = Page(text)
    assert shown.names == ["nobody.png", "third.png", "half.png"]
    assert shown.titles == ["name", "Dice", "IoU", "boundary F", "people", "unsure"]
    assert len(shown.addresses) == 3 * 5
    assert "mean Dice <b>0.5975</b>" in text  # (0 + 2 * 21 / 53 + 1) / 3
    assert "errors of half.png" in text


def test_the_page_asks_nothing_of_any_server(data):
    text = page("mine", "three pictures", rows_of(data), [])
    assert all(address.startswith("data:image/") for address in Page(text).addresses)
    assert not re.search(r"https?://|@import|url\(|<link|fetch\(", text)
    assert "default-src 'none'" in text


def test_pictures_on_the_page_are_those_that_were_predicted(data):
    import base64

    [row] = [row for row in rows_of(data) if row.name == "half.png"]
    for title in ("truth", "prediction"):
        content = base64.b64decode(row.cells[title].partition(",")[2])
        mask = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert (mask[:, :32] == 255).all()
        assert (mask[:, 32:] == 0).all()


def test_without_masks_there_are_no_scores(data):
    shown = Page(page("mine", "three pictures", rows_of(data, masks=""), []))
    assert shown.titles == ["name", "people", "unsure"]
    assert len(shown.addresses) == 3 * 3


def test_names_are_no_markup(data):
    name = "<script>alert(1)</script>.png"
    (data / "images" / "half.png").rename(data / "images" / name.replace("/", "_"))
    text = page("<b>", "&", rows_of(data, masks=""), [])
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_masks_are_run_lengths_that_can_be_read_back(data, tmp_path):
    write_masks(rows_of(data), tmp_path / "masks.csv")
    with (tmp_path / "masks.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == ["half", "nobody", "third"]
    assert lines[0]["rle_mask"].startswith("1 32 65 32 ")
    expected = np.zeros((48, 64), bool)
    expected[:, :32] = True
    for line in lines:
        np.testing.assert_array_equal(rle.decode(line["rle_mask"], 48, 64), expected)


@pytest.fixture
def weights(tmp_path):
    """Two untrained networks: one sees people everywhere, the other nowhere."""
    folder = tmp_path / "weights"
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        network = registry.build("linknet", 4)
        with torch.no_grad():
            list(network.parameters())[-1].fill_((9.0, -90.0)[seed])
        facts = {"architecture": "linknet", "width": 4, "training": {}, "scores": {}}
        registry.save(network, folder, name, **facts)
    return folder


def test_gains_are_measured_against_the_plain_mean(data, weights):
    truths = read_truths(data, DataSet("images", "masks"))
    gains = measure_gains(["one", "two"], truths, folder=weights)
    names = [gain.name for gain in gains]
    assert names[:3] == ["plain mean of the networks", "one alone", "two alone"]
    assert "fitted linear combination" not in names
    assert gains[0].of("dice") == ""
    from humanseg_training.predict import predictor

    alone = score(truths, predictor(registry.load("one", weights)))
    assert gains[1].scores.dice == pytest.approx(alone.dice, abs=1e-3)
    assert gains[1].of("dice") == f"{gains[1].scores.dice - gains[0].scores.dice:+.4f}"
    assert gains[1].scores.pictures != gains[2].scores.pictures == gains[0].scores.pictures
    registry.save_shares({"one": 0.9, "two": 0.1}, {}, weights)
    again = measure_gains(["one", "two"], truths, folder=weights)
    assert "fitted linear combination" in [gain.name for gain in again]
    assert len(again) == len(gains) + 1


def test_the_command(data, weights, tmp_path):
    files = [str(weights / f"{name}.safetensors") for name in ("one", "two")]
    out = tmp_path / "report" / "page.html"
    arguments = ["report", *files, "--data", str(data), "--masks", "masks", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--gains", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == {"pictures": 3, "page": str(out), "masks": str(out.with_suffix(".csv"))}
    assert "plain mean of the networks" in out.read_text()
    assert len(Path(told["masks"]).read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--out", "page.txt"], "ends in .html"),
        (["--out", "page.html", "--gains"], "--gains needs --masks"),
        (["--out", "page.html", "--tuner", "x"], "only for --gains"),
        (["--out", "page.html", "--images", "nowhere"], "is no folder"),
    ],
)
def test_wrong_requests_are_told(data, weights, changes, words):
    files = [str(weights / "one.safetensors"), "--data", str(data)]
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["report", *files, *changes])
    assert result.exit_code == 2
    assert words in result.stderr
