"""What is asked of a whole job reaches its frames."""

import cv2
import numpy as np
import pytest

from humanseg.jobs import process_video
from humanseg.segmenter import Segmenter
from humanseg.testing import BrightnessEngine


@pytest.fixture
def bright_people(monkeypatch):
    """Networks that take what is bright for people."""

    def open_segmenter(preset, **_):
        return Segmenter.from_engine(BrightnessEngine())

    monkeypatch.setattr("humanseg.jobs.Segmenter", open_segmenter)


def pictures(source, folder, **options):
    folder.mkdir()
    process_video(source, folder / "%02d.png", preset="fast", **options)
    read = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(folder.iterdir())]
    return np.array(read).astype(int)


def person(index, height, width):
    """A light disc before a dark wall, with a soft edge."""
    rows, columns = np.mgrid[0:height, 0:width]
    far = np.hypot(rows - height * 0.55, columns - width / 2) / height
    light = np.clip((0.3 - far) * 8 + 0.5, 0, 1)[..., None]
    return (np.array((30, 40, 50)) + light * np.array((190, 170, 200))).astype(np.uint8)


@pytest.fixture
def clip(make_video, bright_people):
    return make_video(frames=4, size=(180, 320), draw=person)


def test_premultiplied_colours_are_multiplied_by_alpha(clip, tmp_path):
    straight = pictures(clip, tmp_path / "straight", output="alpha")
    found = pictures(clip, tmp_path / "multiplied", output="alpha", premultiplied=True)
    np.testing.assert_array_equal(found[..., 3], straight[..., 3])
    share = straight[..., 3:] / 255
    assert ((share > 0.1) & (share < 0.9)).any()
    np.testing.assert_allclose(found[..., :3], straight[..., :3] * share, atol=2)


def test_light_wrap_brightens_the_edges_before_a_white_background(clip, tmp_path):
    plain = pictures(clip, tmp_path / "plain", background="white")
    found = pictures(clip, tmp_path / "wrapped", background="white", light_wrap=1.0)
    brighter = (found - plain).max(axis=3)
    assert (brighter > 10).any()
    middle = brighter[:, 90:110, 150:170]
    assert np.abs(middle).max() <= 1
