"""The cards that stand in for a picture."""

from __future__ import annotations

import numpy as np
import pytest

from humanseg.sinks.cards import camera_lost_card, idle_card

SIZES = [(720, 1280), (480, 640), (1280, 720), (120, 160), (48, 64), (2, 2), (1, 1), (1080, 300)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [camera_lost_card, idle_card])
def test_cards_of_all_sizes(make, size: tuple[int, int]) -> None:
    card = make(*size)
    assert card.shape == (*size, 3)
    assert card.dtype == np.uint8


@pytest.mark.parametrize("size", [(720, 1280), (480, 640), (1280, 720), (1080, 300)])
@pytest.mark.parametrize("make", [camera_lost_card, idle_card])
def test_nothing_is_cut_off_at_the_edges(make, size: tuple[int, int]) -> None:
    card = make(*size)
    behind = card[0, 0]
    drawn = (card != behind).any(axis=2)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert drawn.mean() > 0.005
    assert rows[0] > 0.1 * size[0]
    assert rows[-1] < 0.9 * size[0]
    assert columns[0] >= 0.04 * size[1]
    assert columns[-1] <= 0.96 * size[1]


def test_the_cards_differ_and_tell_their_own_lines() -> None:
    lost, idle = camera_lost_card(480, 640), idle_card(480, 640)
    assert not np.array_equal(lost, idle)
    other = camera_lost_card(480, 640, ("Another title", "and a line"))
    assert np.array_equal(other[:220], lost[:220])
    assert not np.array_equal(other[220:], lost[220:])
