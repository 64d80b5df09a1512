"""One layer of colour over another, in stored values or in light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.foreground import recover
from humanseg.light import from_light, to_light
from humanseg.pixels import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Image

    Colours = NDArray[np.uint8]
    """(3, ...) uint8 B, G, R; channels first, since rows of a channel are quick to work on."""


WRAP_WIDTH = 0.012
"""Spread of the light wrap, as a share of the picture's height."""

GLOW_HALVINGS = 4
"""The light that wraps comes from a picture this much smaller, so it is soft."""

ROW = 4096
"""Pixels in a row of the picture that OpenCV is asked to make of some places."""


@dataclass(frozen=True, slots=True)
class BlendOptions:
    """How people are laid over what is behind them.

    Attributes:
        linear_light: mix light, as a lens does, instead of stored values; edges before a bright
            background lose their dark rim.
        clean_edges: estimate the people's own colour at their edges, so that hair carries nothing
            of the old background.
        light_wrap: 0..1, how much of the background's light spills over the people's edges.
    """

    linear_light: bool = False
    clean_edges: bool = False
    light_wrap: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Mean colours around the pixels of an edge; each (3, ...) uint8.

    Attributes:
        foreground: of the people.
        background: of what was behind them.
    """

    foreground: Colours
    background: Colours


def mix(
    observed: Colours,
    behind: Colours,
    alpha: NDArray[np.float32],
    *,
    linear_light: bool,
    near: Near | None = None,
    glow: tuple[NDArray[np.float32], Colours] | None = None,
) -> Colours:
    """Colours of edge pixels.

    Args:
        observed: of the frame, (3, ...) B, G, R.
        behind: of the new background, the same shape.
        alpha: (...) float32, 0..1.
        linear_light: mix light instead of stored values.
        near: colours around, from which the people's own colour is estimated; None takes the
            observed colour for theirs.
        glow: (...) share of the people that the background's light covers, and that light's
            colour.

    Returns:
        (3, ...) uint8 of the observed shape.
    """
    change = to_light if linear_light else _as_floats
    front, back = change(observed), change(behind)
    if near is not None:
        front = recover(front, change(near.foreground), change(near.background), alpha)
        np.clip(front, 0, 1 if linear_light else 255, out=front)
    if glow is not None:
        share, light = glow
        front += share * (change(light) - front)
    front -= back
    front *= alpha
    front += back
    if linear_light:
        return from_light(front)
    front += np.float32(0.5)
    return front.astype(np.uint8)


def _as_floats(stored: Colours) -> NDArray[np.float32]:
    return stored.astype(np.float32)


def blend(
    foreground: Image,
    background: Image,
    alpha: Alpha,
    *,
    linear_light: bool = False,
    near: tuple[Image, Image] | None = None,
    glow: NDArray[np.float32] | None = None,
) -> Image:
    """Lay the foreground over the background.

    Args:
        foreground: (H, W, 3) uint8 BGR.
        background: (H, W, 3) uint8 BGR.
        alpha: (H, W) float32, 0..1.
        linear_light: mix light instead of stored values.
        near: small pictures of the mean colours of people and old background, see
            `foreground.near_colours`; the people's own colour is estimated from them.
        glow: (H, W) share of the people that the background's light covers, see `light_wrap`.

    Returns:
        (H, W, 3) uint8 BGR, a new array: exactly the foreground where alpha is 1, exactly the
        background where it is 0.
    """
    # Sure pixels are only copied; arithmetic is for the edge, some twentieth of a picture.
    share = grey(alpha) if glow is None else cv2.subtract(grey(alpha), grey(glow))
    mixed = background.copy()
    cv2.copyTo(foreground, (share == 255).view(np.uint8), mixed)
    edge = np.flatnonzero((share > 0) & (share < 255))
    if not edge.size:
        return mixed
    around = None
    if near is not None:
        around = Near(*_enlarged(near, edge, *alpha.shape))
    light = None
    if glow is not None:
        soft = resize(background, *_soft_size(alpha))
        light = (glow.reshape(-1).take(edge), _taken(resize(soft, *alpha.shape), edge))
    mixed.reshape(-1, 3)[edge] = mix(
        _taken(foreground, edge),
        _taken(background, edge),
        alpha.reshape(-1).take(edge),
        linear_light=linear_light,
        near=around,
        glow=light,
    ).T
    return mixed


def _enlarged(
    pictures: tuple[Image, Image], places: NDArray[np.intp], height: int, width: int
) -> Iterator[Colours]:
    """(3, n) of some pixels of two pictures enlarged to (height, width), made for those only."""
    across = min(ROW, places.size)
    padded = np.resize(places, -(-places.size // across) * across).reshape(-1, across)
    rows, columns = np.divmod(padded.astype(np.int32), np.int32(width))
    tall, wide = pictures[0].shape[:2]
    x, y = _from_large(columns, wide / width), _from_large(rows, tall / height)
    for picture in pictures:
        found = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        yield np.ascontiguousarray(found.reshape(-1, 3)[: places.size].T)


def _from_large(place: NDArray[np.int32], scale: float) -> NDArray[np.float32]:
    """Where the centre of a pixel lies in a picture that is so much smaller."""
    return (place.astype(np.float32) + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)


def _taken(image: Image, places: NDArray[np.intp]) -> Colours:
    """(3, n) of some pixels of (H, W, 3)."""
    return np.ascontiguousarray(image.reshape(-1, 3).take(places, axis=0).T)


def _soft_size(alpha: Alpha) -> tuple[int, int]:
    """(height, width) of a picture so small that it is soft when it is enlarged."""
    height, width = alpha.shape
    return max(1, height >> GLOW_HALVINGS), max(1, width >> GLOW_HALVINGS)


def grey(alpha: Alpha) -> Image:
    """(H, W) uint8, 0..255, of an alpha (H, W) 0..1."""
    return np.asarray(cv2.convertScaleAbs(alpha, alpha=255.0), np.uint8)


def light_wrap(alpha: Alpha, strength: float) -> NDArray[np.float32]:
    """Share of the people that the background's light covers: most at the edge, none inside.

    Args:
        alpha: (h, w) float32, 0..1.
        strength: 0..1.

    Returns:
        (h, w) float32, 0..1.
    """
    sigma = max(0.5, WRAP_WIDTH * alpha.shape[0])
    soft = cv2.GaussianBlur(alpha, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.float32(strength) * (1 - np.minimum(soft, 1)), np.float32)
