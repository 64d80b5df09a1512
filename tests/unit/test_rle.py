"""Run-length encoding of masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanseg import rle


@st.composite
def masks(draw):
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    bits = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    return np.array(bits, np.bool_).reshape(height, width)


@given(masks())
def test_what_is_encoded_can_be_decoded(mask):
    text = rle.encode(mask)
    np.testing.assert_array_equal(rle.decode(text, *mask.shape), mask)
    lengths = [int(word) for word in text.split()[1::2]]
    assert sum(lengths) == mask.sum()


def test_starts_count_from_one_and_run_on_over_rows():
    mask = np.zeros((3, 4), np.bool_)
    mask[0, 3] = mask[1, 0] = mask[2, 3] = True
    assert rle.encode(mask) == "4 2 12 1"


def test_a_column_makes_one_run_a_row():
    mask = np.zeros((3, 4), np.bool_)
    mask[:, 1] = True
    assert rle.encode(mask) == "2 1 6 1 10 1"


def test_nobody_and_everybody():
    assert rle.encode(np.zeros((5, 7), np.bool_)) == ""
    assert not rle.decode("", 5, 7).any()
    assert rle.encode(np.ones((5, 7), np.bool_)) == "1 35"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1", "no length"),
        ("1 2 2 1", "does not come after"),
        ("0 1", "does not come after"),
        ("3 0", "does not come after"),
        ("5 3", "leaves a mask of 2x3"),
        ("one 3", "invalid literal"),
    ],
)
def test_text_that_is_no_mask_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        rle.decode(text, 2, 3)
