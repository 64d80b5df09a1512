"""A page of pictures, predictions and scores that needs nothing but itself, and a CSV of masks."""

from __future__ import annotations

import base64
import csv
import html
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg import rle
from humanseg.errors import SinkError
from humanseg.pixels import resize, within
from humanseg_training.config import DataSet
from humanseg_training.data import list_images, list_pairs, read_image, read_pair
from humanseg_training.evaluate import THRESHOLD, PictureScore, score_picture
from humanseg_training.gains import Gain
from humanseg_training.predict import Predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

TEMPLATE = Path(__file__).with_name("report_page.html")

SHOWN = (320, 440)
"""(height, width) that embedded pictures stay within: twice their size on the page."""

JPEG_QUALITY = 80
CHECKER = 8
"""Side of the squares behind a cut-out, in pixels."""

UNSURE = (0.1, 0.9)
"""Alphas between these are neither person nor background."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a report.

    Attributes:
        name: of the file.
        image: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32 0..1, what was predicted.
        truth: (H, W) bool, or None without labels.
    """

    name: str
    image: Picture
    alpha: NDArray[np.float32]
    truth: NDArray[np.bool_] | None

    @property
    def score(self) -> PictureScore | None:
        """Scores at threshold 0.5, if there is a truth."""
        if self.truth is None:
            return None
        return score_picture(self.name, self.alpha > THRESHOLD, self.truth)

    @property
    def unsure(self) -> float:
        """Share of the picture that is neither person nor background."""
        return float(((self.alpha > UNSURE[0]) & (self.alpha < UNSURE[1])).mean())


def predict_entries(root: Path, data: DataSet, predict: Predict) -> Iterator[Entry]:
    """Predict the pictures of a set one by one; without `masks` (or a manifest) it has no truth.

    Raises:
        TrainingDataError: the set is missing or damaged.
    """
    if data.masks or data.manifest:
        for pair in list_pairs(root, data):
            image, mask = read_pair(pair)
            yield Entry(pair.image.name, image, predict([image])[0], mask > 127)
    else:
        for path in list_images(root / data.images):
            image = read_image(path)
            yield Entry(path.name, image, predict([image])[0], None)


@dataclass(frozen=True, slots=True)
class Row:
    """What stays of an entry on the page and in the CSV, without its pixels.

    Attributes:
        name: of the file.
        cells: title -> embedded picture, as a data URL.
        score: None without labels.
        unsure: share of the picture that is neither person nor background.
        people: share of the picture that is a person.
        runs: the mask at threshold 0.5, run-length encoded.
        overlap: pixels that are a person in prediction and truth.
        total: pixels that are one in the prediction, plus those in the truth.
    """

    name: str
    cells: dict[str, str]
    score: PictureScore | None
    unsure: float
    people: float
    runs: str
    overlap: int
    total: int


def make_row(entry: Entry) -> Row:
    """Draw the pictures of an entry, small."""
    found, truth = entry.alpha > THRESHOLD, entry.truth
    cells = {"picture": _embedded(entry.image, ".jpg")}
    if truth is not None:
        cells["truth"] = _embedded(_grey(truth), ".png")
    cells["prediction"] = _embedded(_grey(entry.alpha), ".png")
    if truth is not None:
        cells["errors"] = _embedded(_errors(entry.image, found, truth), ".jpg")
    cells["cut-out"] = _embedded(_cut_out(entry.image, entry.alpha), ".jpg")
    return Row(
        entry.name,
        cells,
        entry.score,
        entry.unsure,
        float(found.mean()),
        rle.encode(found),
        0 if truth is None else int((found & truth).sum()),
        0 if truth is None else int(found.sum()) + int(truth.sum()),
    )


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Lowest Dice first, or what the network is least sure of where there is no truth."""
    return sorted(rows, key=lambda row: (row.score.dice if row.score else -row.unsure, row.name))


def page(title: str, about: str, rows: Sequence[Row], gains: Sequence[Gain]) -> str:
    """The whole page as HTML; it asks nothing of any server.

    Args:
        title: what predicted.
        about: what was predicted, in a sentence.
        rows: in the order they are shown.
        gains: of each post-processing module; none without labels.
    """
    has_truth = any(row.score is not None for row in rows)
    numbers = ["Dice", "IoU", "boundary F"] if has_truth else []
    numbers += ["people", "unsure"]
    pictures = list(rows[0].cells) if rows else []
    heads = [_title("name")] + [_title(text, number=True) for text in numbers]
    heads += [f"<th>{html.escape(text)}</th>" for text in pictures]
    least = "Those the network is least sure of come first."
    return string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        about=html.escape(about),
        summary=_summary(rows) if has_truth else "",
        gains=_gains(gains),
        order="The worst come first." if has_truth else least,
        titles="".join(heads),
        rows="\n".join(_row(row) for row in rows),
    )


def write_page(text: str, path: Path) -> None:
    """Write the page.

    Raises:
        SinkError: it cannot be written.
    """
    _write(path, text)


def write_masks(rows: Iterable[Row], path: Path) -> None:
    """Write the masks as a CSV with the columns id (the name without ending) and rle_mask.

    Runs are "start length" pairs, starts count from 1, row by row.

    Raises:
        SinkError: it cannot be written.
    """
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "rle_mask"))
    for row in sorted(rows, key=lambda row: row.name):
        writer.writerow((Path(row.name).stem, row.runs))
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot be written: {error.strerror}", subject=path) from error


def _summary(rows: Sequence[Row]) -> str:
    scores = [row.score for row in rows if row.score is not None]
    total = sum(row.total for row in rows)
    figures = {
        "mean Dice": np.mean([score.dice for score in scores]),
        "pooled Dice": 2 * sum(row.overlap for row in rows) / total if total else 1.0,
        "mean IoU": np.mean([score.iou for score in scores]),
        "mean boundary F": np.mean([score.boundary_f for score in scores]),
    }
    text = ", ".join(f"{name} <b>{value:.4f}</b>" for name, value in figures.items())
    return f"<p>{len(rows):,} pictures: {text}.</p>"


def _gains(gains: Sequence[Gain]) -> str:
    if not gains:
        return ""
    titles = ("", "mean Dice", "gain", "pooled Dice", "boundary F", "gain")
    heads = "".join(f'<th class="number">{title}</th>' for title in titles)
    lines = []
    for gain in gains:
        cells = [f"{gain.scores.dice:.4f}", gain.of("dice"), f"{gain.scores.pooled_dice:.4f}"]
        cells += [f"{gain.scores.boundary_f:.4f}", gain.of("boundary_f")]
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        lines.append(f"<tr><td>{html.escape(gain.name)}</td>{numbers}</tr>")
    body = "\n".join(lines)
    return (
        "<h2>What each part of the post-processing brings</h2>\n"
        "<p>Bare networks, before the refinement that presets add; gains over the first row.</p>\n"
        f"<table><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>"
    )


def _title(text: str, *, number: bool = False) -> str:
    kind = ' class="number"' if number else ""
    return f'<th{kind}><button type="button">{html.escape(text)}</button></th>'


def _row(row: Row) -> str:
    values = [row.score.dice, row.score.iou, row.score.boundary_f] if row.score else []
    values += [row.people, row.unsure]
    name = html.escape(row.name)
    cells = [f'<td class="name">{name}</td>']
    cells += [f'<td class="number" data-value="{value:.6f}">{value:.4f}</td>' for value in values]
    cells += [
        f'<td><img loading="lazy" alt="{title} of {name}" src="{url}"></td>'
        for title, url in row.cells.items()
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _embedded(picture: Picture, ending: str) -> str:
    height, width = picture.shape[:2]
    rows, columns = within(height, width, SHOWN)
    if rows < height:
        picture = resize(picture, rows, columns)
    pixels = picture[..., ::-1] if picture.ndim == 3 else picture
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if ending == ".jpg" else []
    content = cv2.imencode(ending, np.ascontiguousarray(pixels), options)[1].tobytes()
    kind = "jpeg" if ending == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _grey(mask: NDArray[np.float32] | NDArray[np.bool_]) -> Picture:
    return np.round(mask.astype(np.float32) * 255).astype(np.uint8)


def _errors(image: Picture, found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Picture:
    """The picture in grey; red where a person was seen wrongly, blue where one was missed."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    shown = np.repeat((64 + grey // 2)[..., None], 3, axis=2)
    shown[found & ~truth] = (230, 40, 40)
    shown[~found & truth] = (50, 90, 255)
    return np.asarray(shown, np.uint8)


def _cut_out(image: Picture, alpha: NDArray[np.float32]) -> Picture:
    rows, columns = np.indices(alpha.shape) // CHECKER
    squares = np.where((rows + columns) % 2, 200, 240).astype(np.float32)[..., None]
    share = alpha[..., None]
    return np.round(share * image + (1 - share) * squares).astype(np.uint8)
