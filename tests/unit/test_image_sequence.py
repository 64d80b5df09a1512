"""Numbered pictures: written, read back and compared."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from humanseg.backgrounds import Blur
from humanseg.composite import Compositor
from humanseg.errors import SettingsError
from humanseg.frames import Frame
from humanseg.jobs import process_video
from humanseg.sinks.image_sequence import ImageSequenceSink

RANDOM = np.random.default_rng(8)


def picture(channels):
    small = RANDOM.integers(0, 255, (4, 5, channels), np.uint8)
    return cv2.resize(small, (40, 32), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparent_pictures_are_read_back(tmp_path, suffix):
    pictures = [picture(4) for _ in range(3)]
    with ImageSequenceSink(tmp_path / f"out-%03d{suffix}", alpha=True) as sink:
        for index, pixels in enumerate(pictures):
            sink.write(Frame(pixels, index, Fraction(index, 25)))
    assert sink.frames == 3
    for number, pixels in enumerate(pictures, start=1):
        found = cv2.imread(str(tmp_path / f"out-{number:03d}{suffix}"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(found[..., 3], pixels[..., 3])
        seen = pixels[..., 3] > 128
        assert np.abs(found[..., :3].astype(int) - pixels[..., :3])[seen].mean() < 4


def test_masks_are_pictures_of_one_channel(tmp_path):
    grey = np.repeat(picture(1).reshape(32, 40, 1), 3, axis=2)
    with ImageSequenceSink(tmp_path / "%d.png", grey=True) as sink:
        sink.write(Frame(grey, 0, Fraction(0)))
    found = cv2.imread(str(tmp_path / "1.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, grey[..., 0])


@pytest.mark.parametrize("output", ["alpha", "mask", "composite"])
def test_a_video_becomes_numbered_pictures(make_video, tmp_path, output):
    done = process_video(make_video(frames=5), tmp_path / "%04d.png", output=output, preset="fast")
    assert done.frames == 5
    written = [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(tmp_path.glob("*.png"))
    ]
    channels = {"alpha": (4,), "mask": (), "composite": (3,)}[output]
    assert [picture.shape for picture in written] == 5 * [(48, 64, *channels)]


def test_settings_of_encoders_do_not_apply_to_pictures(make_video, tmp_path):
    with pytest.raises(SettingsError, match="do not apply to pictures"):
        process_video(make_video(frames=2), tmp_path / "%04d.png", crf=20, preset="fast")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("out.png", "one number"),
        ("%d-%d.png", "one number"),
        ("%d-100%.png", "one number"),
        ("%03d.bmp", "no kind of picture"),
        ("%03d.jpg", "no kind of picture"),
        ("missing/%03d.png", "folder does not exist"),
    ],
)
def test_names_that_cannot_be_are_refused(tmp_path, name, what):
    with pytest.raises(SettingsError, match=what):
        ImageSequenceSink(tmp_path / name, alpha=True)


def test_an_existing_sequence_stays_unless_told(tmp_path):
    (tmp_path / "01.png").write_bytes(b"kept")
    with pytest.raises(SettingsError, match="exists already"):
        ImageSequenceSink(tmp_path / "%02d.png")
    assert (tmp_path / "01.png").read_bytes() == b"kept"
    with ImageSequenceSink(tmp_path / "%02d.png", overwrite=True) as sink:
        sink.write(Frame(picture(3), 0, Fraction(0)))
    assert cv2.imread(str(tmp_path / "01.png")).shape == (32, 40, 3)


def test_premultiplied_colours_are_those_before_black():
    frame = Frame(picture(3), 0, Fraction(0))
    alpha = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (32, 1))
    straight = Compositor(Blur(), "alpha").compose(frame, alpha).pixels
    found = Compositor(Blur(), "alpha", premultiplied=True).compose(frame, alpha).pixels
    np.testing.assert_array_equal(found[..., 3], straight[..., 3])
    np.testing.assert_allclose(found[..., :3], straight[..., :3] * alpha[..., None], atol=1)
