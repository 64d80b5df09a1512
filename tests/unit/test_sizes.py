import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanseg.sizes import NETWORK_PIXELS, fit, input_size

sides = st.integers(1, 8000)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (320, 240, (192, 144)),
        (480, 640, (144, 192)),
        (720, 1280, (128, 224)),
        (1080, 1920, (128, 224)),
        (500, 500, (160, 160)),
        (1, 1, (160, 160)),
    ],
)
def test_usual_shapes(height, width, expected):
    assert input_size(height, width) == expected


@given(sides, sides)
def test_sides_are_multiples_of_the_stride(height, width):
    tall, wide = input_size(height, width)
    assert tall % 16 == 0
    assert wide % 16 == 0
    assert min(tall, wide) >= 16


@given(st.integers(100, 4000), st.floats(1 / 3, 3))
def test_area_stays_near_the_wanted_one(height, aspect):
    tall, wide = input_size(height, max(1, round(height * aspect)))
    assert 0.8 < tall * wide / NETWORK_PIXELS < 1.25


@given(sides, sides)
def test_a_fitted_frame_keeps_its_shape_and_lies_inside(height, width):
    place = fit(height, width)
    assert 0 <= place.top <= place.input_height - place.height
    assert 0 <= place.left <= place.input_width - place.width
    scale = min(place.input_height / height, place.input_width / width)
    assert abs(place.height - height * scale) <= 1
    assert abs(place.width - width * scale) <= 1


@given(sides, sides)
def test_mirrored_frames_have_mirrored_sizes(height, width):
    assert input_size(height, width) == input_size(width, height)[::-1]


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-1, 5)])
def test_a_frame_without_pixels_is_refused(size):
    with pytest.raises(ValueError, match="no pixels"):
        input_size(*size)
