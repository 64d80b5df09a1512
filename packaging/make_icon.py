"""Draws the icon, a person cut out before a chequered ground: `python packaging/make_icon.py`.

One set of numbers gives both files, humanseg.svg and humanseg.png, so they cannot drift apart.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
SIZE = 256
CORNER = 56
SQUARE = 32
DARK, LIGHT = "#16425b", "#1d5a7a"
CARD, PERSON = "#ffffff", "#f4a259"
HEAD = (128, 100, 42)
"""Centre and radius."""
SHOULDERS = (128, 262, 80, 98)
"""Centre and half axes."""
BORDER = 11
"""Of the card around the person."""
FINE = 8
"""Times that the drawing is larger than the picture, for smooth edges."""


def svg() -> str:
    """The icon as SVG."""
    x, y, r = HEAD
    sx, sy, rx, ry = SHOULDERS
    squares = "".join(
        f"M{column},{row}h{SQUARE}v{SQUARE}h-{SQUARE}z" for row, column in light_squares()
    )

    def person(color: str, border: int) -> str:
        return (
            f'<g fill="{color}"><circle cx="{x}" cy="{y}" r="{r + border}"/>'
            f'<ellipse cx="{sx}" cy="{sy}" rx="{rx + border}" ry="{ry + border}"/></g>'
        )

    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}">',
            "<title>humanseg</title>",
            f'<clipPath id="card"><rect width="{SIZE}" height="{SIZE}" rx="{CORNER}"/></clipPath>',
            '<g clip-path="url(#card)">',
            f'<rect width="{SIZE}" height="{SIZE}" fill="{DARK}"/>',
            f'<path fill="{LIGHT}" d="{squares}"/>',
            person(CARD, BORDER),
            person(PERSON, 0),
            "</g>",
            "</svg>\n",
        ]
    )


def png() -> np.ndarray:
    """The icon as pixels, (SIZE, SIZE, 4) uint8 BGRA."""
    side = SIZE * FINE
    picture = np.full((side, side, 3), bgr(DARK), np.uint8)
    for row, column in light_squares():
        top, left, length = row * FINE, column * FINE, SQUARE * FINE
        picture[top : top + length, left : left + length] = bgr(LIGHT)
    for color, border in ((CARD, BORDER), (PERSON, 0)):
        x, y, r = HEAD
        cv2.circle(picture, (x * FINE, y * FINE), (r + border) * FINE, bgr(color), cv2.FILLED)
        sx, sy, rx, ry = SHOULDERS
        axes = ((rx + border) * FINE, (ry + border) * FINE)
        centre = (sx * FINE, sy * FINE)
        cv2.ellipse(picture, centre, axes, 0, 0, 360, bgr(color), cv2.FILLED)
    card = np.zeros((side, side), np.uint8)
    corner, far = CORNER * FINE, side - 1
    cv2.rectangle(card, (corner, 0), (far - corner, far), 255, cv2.FILLED)
    cv2.rectangle(card, (0, corner), (far, far - corner), 255, cv2.FILLED)
    for place in ((corner, corner), (far - corner, corner)):
        cv2.circle(card, place, corner, 255, cv2.FILLED)
        cv2.circle(card, (place[0], far - corner), corner, 255, cv2.FILLED)
    return cv2.resize(np.dstack([picture, card]), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def light_squares() -> list[tuple[int, int]]:
    """Row and column, in pixels, of the chequered ground's lighter squares."""
    places = range(0, SIZE, SQUARE)
    return [(row, col) for row in places for col in places if (row + col) // SQUARE % 2]


def bgr(color: str) -> tuple[int, int, int]:
    """A colour like "#16425b" in OpenCV's order."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return blue, green, red


def main() -> None:
    """Write both files."""
    (HERE / "humanseg.svg").write_text(svg(), encoding="utf-8")
    if not cv2.imwrite(str(HERE / "humanseg.png"), png()):
        raise SystemExit("the PNG cannot be written")


if __name__ == "__main__":
    main()
