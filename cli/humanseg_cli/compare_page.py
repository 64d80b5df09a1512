"""The page of `humanseg compare`: one HTML file that needs no other and fetches nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.comparison import read_pair
from humanseg.media.av_gate import sink_error
from humanseg.pixels import resize
from humanseg.sinks.target import check_target

if TYPE_CHECKING:
    from humanseg.comparison import Comparison, FrameDifference
    from humanseg.frames import Image

LONGEST_SIDE = 480
"""Pixels of a picture in the page; larger ones are shrunk."""

QUALITY = 85
GAIN = 4
"""By which the difference of two masks is made brighter, so that a soft edge shows."""

STYLE = """
:root { color-scheme: light dark; --line: #8886; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 90rem; padding: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; text-align: left; }
td { overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
.number { text-align: right; }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem; }
figure { margin: 0; } img { width: 100%; height: auto; display: block; background: #888; }
figcaption { font-size: .9rem; }
"""


def write_page(found: Comparison, path: Path) -> None:
    """Write both snapshots side by side, the worst frames first; an older page is replaced.

    Raises:
        SettingsError: the place cannot be written.
        SinkError: the disk refuses.
        SourceError: a picture of a snapshot cannot be read.
    """
    check_target(path, overwrite=True)
    text = page(found)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise sink_error(error, path, frames=0, kept=None) from error


def page(found: Comparison) -> str:
    """The whole page as HTML."""
    title = f"{found.before} and {found.after}"
    changes = [(change.fact, change.before or "-", change.after or "-") for change in found.changes]
    figures = [
        (
            f"{frame.index}",
            frame.name,
            f"{frame.iou:.4f}",
            f"{frame.mask_difference:.4f}",
            f"{frame.composite_difference:.4f}",
        )
        for frame in found.worst()
    ]
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # Whatever a name in a snapshot says, nothing is fetched and nothing runs.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        f"<h1>A: {escape(str(found.before))}<br>B: {escape(str(found.after))}</h1>",
        f"<p>{len(found.frames)} frames. IoU {found.mean_iou:.4f} on average, "
        f"{found.min_iou:.4f} at worst; masks differ by {found.mean_difference:.4f} "
        "on average.</p>",
        "<h2>What changed</h2>",
        _table(("fact", "A", "B"), changes) if changes else "<p>Nothing but the pictures.</p>",
        "<h2>Frames, the worst first</h2>",
        _table(("frame", "", "IoU", "mask difference", "composite difference"), figures, words=2),
        *(_section(frame) for frame in found.worst()),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _section(frame: FrameDifference) -> str:
    before, after = frame.files
    masks = read_pair((before.mask, after.mask))
    composites = read_pair((before.composite, after.composite))
    title = f"Frame {frame.index}, {frame.name}"
    pictures = [
        _figure(masks[0], "Mask A", title),
        _figure(masks[1], "Mask B", title),
        _figure(mask_change(*masks), "Red: only in A. Blue: only in B.", title),
        _figure(composites[0], "Composite A", title),
        _figure(composites[1], "Composite B", title),
    ]
    return "\n".join(
        [
            f"<section>\n<h3>{escape(title)}: IoU {frame.iou:.4f}</h3>",
            '<div class="row">',
            *pictures,
            "</div>\n</section>",
        ]
    )


def mask_change(before: Image, after: Image) -> Image:
    """Where two masks differ, red for what only the first has, blue for what only the second has.

    Args:
        before: (H, W, 3) uint8, grey.
        after: (H, W, 3) uint8, grey.

    Returns:
        (H, W, 3) uint8 BGR: differences GAIN times as bright over a dim picture of the second.
    """
    step = GAIN * (after[..., 0].astype(np.int16) - before[..., 0])
    base = after[..., 0].astype(np.int16) // 3
    apart = np.abs(step)
    blue = np.where(step > 0, base + apart, base - apart)
    red = np.where(step < 0, base + apart, base - apart)
    return np.stack([blue, base - apart, red], axis=2).clip(0, 255).astype(np.uint8)


def _figure(pixels: Image, caption: str, title: str) -> str:
    pixels = _shrunk(pixels)
    height, width = pixels.shape[:2]
    alternative = escape(f"{caption} of {title}")
    return (
        f'<figure><img src="{_data_uri(pixels)}" width="{width}" height="{height}" '
        f'alt="{alternative}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def _shrunk(pixels: Image) -> Image:
    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    if scale == 1.0:
        return pixels
    return resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def _data_uri(pixels: Image) -> str:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, words: int = 3) -> str:
    """A table whose first columns are words; the others are numbers."""

    def line(cells: tuple[str, ...], tag: str) -> str:
        marks = ["" if place < words else ' class="number"' for place in range(len(cells))]
        return "".join(
            f"<{tag}{mark}>{escape(cell)}</{tag}>" for cell, mark in zip(cells, marks, strict=True)
        )

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table>\n<tr>{line(titles, 'th')}</tr>\n{body}\n</table>"
