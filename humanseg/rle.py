"""Masks as short text: run-length encoding, 1-based starts, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    BoolMask = NDArray[np.bool_]


def encode(mask: BoolMask) -> str:
    """Write a mask as "start length start length ...".

    Args:
        mask: (H, W), bool.

    Returns:
        Starts count pixels from 1, along the first row, then the second; empty for an empty mask.

    >>> encode(np.array([[False, True, True], [True, False, True]]))
    '2 3 6 1'
    """
    padded = np.zeros(mask.size + 2, np.bool_)
    padded[1:-1] = mask.ravel()
    edges = np.flatnonzero(padded[1:] != padded[:-1]) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges))


def decode(text: str, height: int, width: int) -> BoolMask:
    """Read a mask that `encode` wrote.

    Args:
        text: pairs of start and length.
        height: of the mask, in pixels.
        width: of the mask, in pixels.

    Returns:
        (H, W), bool.

    Raises:
        ValueError: the text is no list of pairs, its runs are out of order, or they leave the mask.

    >>> decode("2 3 6 1", 2, 3)
    array([[False,  True,  True],
           [ True, False,  True]])
    """
    numbers = [int(word) for word in text.split()]
    if len(numbers) % 2:
        raise ValueError("a start has no length")
    flat = np.zeros(height * width, np.bool_)
    end = 0
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        begin = start - 1
        if begin < end or length < 1:
            raise ValueError(f"the run {start} {length} does not come after the one before it")
        end = begin + length
        if end > flat.size:
            raise ValueError(f"the run {start} {length} leaves a mask of {height}x{width}")
        flat[begin:end] = True
    return flat.reshape(height, width)
