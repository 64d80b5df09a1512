"""Still pictures a virtual camera shows when there is no frame to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from humanseg.frames import Image

CAMERA_LOST = ("The camera does not answer", "The picture returns as soon as the camera is back")
IDLE = ("The camera is off", "It starts as soon as a program shows this picture")

_BEHIND = (44, 38, 34)
_TITLE = (235, 235, 235)
_TEXT = (170, 165, 160)
_FACE = cv2.FONT_HERSHEY_SIMPLEX
# Height of the letters, and of the symbol, as shares of the card's height.
_TITLE_SHARE, _TEXT_SHARE, _SYMBOL_SHARE = 0.055, 0.032, 0.2
_WIDEST = 0.88
# OpenCV's letters are 22 pixels high at scale 1.
_LETTER_PIXELS = 22


def camera_lost_card(height: int, width: int, lines: Sequence[str] = CAMERA_LOST) -> Image:
    """A crossed-out camera with text: the source of the frames is away.

    Args:
        height: of the card.
        width: of the card.
        lines: a title, then smaller lines; letters outside of ASCII become question marks.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    return _card(height, width, lines, is_crossed=True)


def idle_card(height: int, width: int, lines: Sequence[str] = IDLE) -> Image:
    """A camera with text: nobody looks, so that the camera is released.

    Args and result are those of `camera_lost_card`.
    """
    return _card(height, width, lines, is_crossed=False)


def _card(height: int, width: int, lines: Sequence[str], *, is_crossed: bool) -> Image:
    card = np.full((height, width, 3), _BEHIND, np.uint8)
    # Portrait cards have room for letters by their width only.
    unit = min(height, round(width * 0.75))
    _draw_symbol(card, (round(width / 2), round(height * 0.36)), unit, is_crossed=is_crossed)
    top = height * 0.36 + unit * 0.2
    for number, line in enumerate(lines):
        share = _TEXT_SHARE if number else _TITLE_SHARE
        top += unit * share * (2.6 if number else 2)
        _write(card, line, round(top), unit * share, _TEXT if number else _TITLE)
    return card


def _draw_symbol(card: Image, centre: tuple[int, int], unit: int, *, is_crossed: bool) -> None:
    """A video camera from the side: body and lens; crossed out by a line with a gap around it."""
    across, down = centre
    half = round(unit * _SYMBOL_SHARE / 2)
    body_left, body_right = across - round(half * 1.3), across + round(half * 0.6)
    cv2.rectangle(
        card, (body_left, down - half * 4 // 5), (body_right, down + half * 4 // 5), _TEXT, -1
    )
    lens = np.array(
        [
            (body_right + half // 6, down - half // 6),
            (across + round(half * 1.4), down - half * 7 // 10),
            (across + round(half * 1.4), down + half * 7 // 10),
            (body_right + half // 6, down + half // 6),
        ]
    )
    cv2.fillPoly(card, [lens], _TEXT, cv2.LINE_AA)
    if is_crossed:
        reach, thick = round(half * 1.35), max(1, half // 7)
        ends = (across - reach, down - reach), (across + reach, down + reach)
        cv2.line(card, *ends, _BEHIND, thick * 3, cv2.LINE_AA)
        cv2.line(card, *ends, _TITLE, thick, cv2.LINE_AA)


def _write(
    card: Image, line: str, baseline: int, letters: float, colour: tuple[int, int, int]
) -> None:
    """Write a line in the middle, smaller where it is too wide."""
    text = line.encode("ascii", "replace").decode("ascii")
    scale = letters / _LETTER_PIXELS
    (wide, _), _ = cv2.getTextSize(text, _FACE, scale, 1)
    scale *= min(1.0, card.shape[1] * _WIDEST / max(1, wide))
    thick = max(1, round(scale * 1.6))
    (wide, _), _ = cv2.getTextSize(text, _FACE, scale, thick)
    place = (round((card.shape[1] - wide) / 2), baseline)
    cv2.putText(card, text, place, _FACE, scale, colour, thick, cv2.LINE_AA)
