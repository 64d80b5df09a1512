"""Pictures of a run: learning curves, and sheets of the same validation pictures every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from humanseg.pixels import letterbox
from humanseg_training.evaluate import Truths
from humanseg_training.predict import Predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHEET_PICTURES = 8
CELL = (160, 160)
"""(height, width) of each picture on a sheet."""

PANEL = (300, 640)
"""(height, width) of each diagram of the learning curves."""

MARGIN = 56
INK, GRID = (40, 40, 40), (225, 225, 225)
COLOURS = ((180, 90, 20), (40, 110, 230), (60, 150, 60), (150, 60, 150))
"""Of the lines, BGR."""

FONT = cv2.FONT_HERSHEY_SIMPLEX
PANELS = (("loss",), ("dice", "pooled_dice", "iou", "boundary_f"))


def sheet(truths: Truths, predict: Predict) -> NDArray[np.uint8]:
    """Rows of picture, truth and prediction, (H, W, 3) BGR; pictures spread over the whole set."""
    count = min(SHEET_PICTURES, len(truths.images))
    rows = []
    for index in np.linspace(0, len(truths.images) - 1, count).round().astype(int):
        image = truths.images[index]
        [alpha] = predict([image])
        planes = (truths.masks[index].astype(np.float32), np.asarray(alpha, np.float32))
        grey = [np.repeat(np.round(255 * p).astype(np.uint8)[..., None], 3, 2) for p in planes]
        cells = (np.ascontiguousarray(image[..., ::-1]), *grey)
        rows.append(np.hstack([letterbox(cell, *CELL) for cell in cells]))
    half = (len(rows) + 1) // 2
    if len(rows) % 2:
        rows.append(np.zeros_like(rows[0]))
    return np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])


def encoded(picture: NDArray[np.uint8], ending: str = ".jpg") -> bytes:
    """The content of a picture file of (H, W, 3) BGR pixels."""
    return bytes(cv2.imencode(ending, picture)[1].data)


def curves(lines: Sequence[Mapping[str, Any]]) -> NDArray[np.uint8]:
    """Diagrams of loss and scores over the epochs of a log, (H, W, 3) BGR."""
    epochs = [float(line["epoch"]) for line in lines]
    panels = [
        _panel(epochs, {key: [float(line[key]) for line in lines] for key in keys})
        for keys in PANELS
    ]
    return np.vstack(panels)


def write_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture file.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture, path.suffix))


def _panel(epochs: list[float], series: Mapping[str, list[float]]) -> NDArray[np.uint8]:
    height, width = PANEL
    panel = np.full((height, width, 3), 255, np.uint8)
    finite = [v for values in series.values() for v in values if np.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    high = high if high > low else low + 1e-3
    first, last = 0.0, max(max(epochs), 1e-3)

    def place(epoch: float, value: float) -> tuple[int, int]:
        across = (epoch - first) / (last - first)
        up = (value - low) / (high - low)
        column = MARGIN + across * (width - 2 * MARGIN)
        row = height - MARGIN / 2 - up * (height - 1.5 * MARGIN)
        return round(column), round(row)

    for value in np.linspace(low, high, 5):
        left, right = place(first, float(value)), place(last, float(value))
        cv2.line(panel, left, right, GRID, 1)
        _write(panel, f"{value:.3f}", (4, left[1] + 4), INK)
    for epoch in np.linspace(first, last, 6):
        column, row = place(float(epoch), low)
        _write(panel, f"{epoch:.3g}", (column - 8, row + 18), INK)
    for values, colour in zip(series.values(), COLOURS, strict=False):
        points = [place(e, v) for e, v in zip(epochs, values, strict=True) if np.isfinite(v)]
        cv2.polylines(panel, [np.array(points, np.int32)], False, colour, 2, cv2.LINE_AA)
        for point in points:
            cv2.circle(panel, point, 3, colour, -1, cv2.LINE_AA)
    column = MARGIN
    for (name, values), colour in zip(series.items(), COLOURS, strict=False):
        text = f"{name} {values[-1]:.4f}"
        _write(panel, text, (column, 18), colour)
        column += 10 + cv2.getTextSize(text, FONT, 0.42, 1)[0][0]
    return panel


def _write(panel: NDArray[np.uint8], text: str, place: tuple[int, int], colour: Any) -> None:
    cv2.putText(panel, text, place, FONT, 0.42, colour, 1, cv2.LINE_AA)
