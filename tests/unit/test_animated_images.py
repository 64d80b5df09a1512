"""Pictures that move, as backgrounds: each at its own pace, for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from humanseg.backgrounds import Clip, Picture, open_background
from humanseg.control.controls import Controls
from humanseg.errors import MissingExtraError, SourceError
from humanseg.frames import Frame
from humanseg.look.dressing import Dresser
from humanseg.look.looks import Look
from humanseg.sources import animated_images
from humanseg.sources.animated_images import AnimatedWebpSource, is_animated_png, is_animated_webp

HEIGHT, WIDTH = 24, 32
NOBODY = np.zeros((HEIGHT, WIDTH), np.float32)
GREYS = (40, 120, 200)
LASTING = (100, 300, 200)

pytestmark = pytest.mark.skipif(
    not hasattr(cv2, "imwriteanimation"), reason="OpenCV before 4.11 writes no animations"
)


def write(
    path: Path, lasting: Sequence[int] = LASTING, *, greys: Sequence[int] = GREYS, alpha: int = 255
) -> Path:
    """Write plain grey frames with milliseconds each."""
    animation = cv2.Animation()
    animation.durations = list(lasting)
    animation.frames = [
        np.dstack(
            [np.full((HEIGHT, WIDTH, 3), grey, np.uint8), np.full((HEIGHT, WIDTH), alpha)]
        ).astype(np.uint8)
        for grey in greys[: len(lasting)]
    ]
    assert cv2.imwriteanimation(str(path), animation)
    return path


def write_gif(path: Path) -> Path:
    # By FFmpeg, which keeps the greys as they are.
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=100)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        at = 0
        # FFmpeg gives the last frame the shortest time there is.
        for grey, lasting in zip((*GREYS, GREYS[-1]), (*LASTING, 1), strict=True):
            frame = av.VideoFrame.from_ndarray(
                np.full((HEIGHT, WIDTH), grey, np.uint8), format="gray"
            )
            frame.pts, frame.time_base = at, Fraction(1, 100)
            container.mux(stream.encode(frame))
            at += lasting // 10
        container.mux(stream.encode(None))
    return path


def shown(path: Path, milliseconds: Sequence[int]) -> list[int]:
    room = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with open_background(str(path)) as background:
        return [
            int(background.for_frame(Frame(room, n, Fraction(at, 1000)), NOBODY)[3, 5, 0])
            for n, at in enumerate(milliseconds)
        ]


@pytest.mark.parametrize("suffix", [".png", ".apng", ".webp"])
def test_frames_last_as_long_as_they_ask_and_begin_again(tmp_path, suffix):
    path = write(tmp_path / f"moving{suffix}")
    times = [0, 90, 110, 390, 410, 590, 610, 720, 1010]
    assert shown(path, times) == [40, 40, 120, 120, 200, 200, 40, 120, 200]


def test_a_gif_moves_too(tmp_path):
    path = write_gif(tmp_path / "moving.gif")
    found = shown(path, [0, 90, 110, 390, 410])
    assert found == pytest.approx([40, 40, 120, 120, 200], abs=6)
    assert len(set(shown(path, list(range(0, 3000, 50))))) == 3


def test_what_moves_is_told_by_its_content(tmp_path):
    webp, png = write(tmp_path / "a.webp"), write(tmp_path / "a.png")
    assert (is_animated_webp(webp), is_animated_png(webp)) == (True, False)
    assert (is_animated_webp(png), is_animated_png(png)) == (False, True)
    for name, content in ((".gif", webp), (".jpg", png)):
        renamed = tmp_path / f"renamed{name}"
        renamed.write_bytes(content.read_bytes())
        assert shown(renamed, [0, 150]) == [40, 120]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".gif"])
def test_a_still_picture_stays_one_and_is_read_once(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"still{suffix}"
    if suffix == ".gif":
        write(path, LASTING[:1])
    else:
        assert cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    background = open_background(str(path))
    assert isinstance(background, Clip if suffix == ".gif" else Picture)
    room = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    first = background.for_frame(Frame(room, 0, Fraction(0)), NOBODY)
    path.unlink()
    for n in range(1, 50):
        assert background.for_frame(Frame(room, n, Fraction(n)), NOBODY) is first
    background.close()


def test_frames_that_ask_for_no_time_get_what_browsers_give_them(tmp_path):
    path = write(tmp_path / "fast.webp", (0, 10, 20))
    durations = [frame.duration for frame in AnimatedWebpSource(path)]
    assert durations == [Fraction(1, 10), Fraction(1, 10), Fraction(1, 50)]


def test_the_facts_of_an_animation(tmp_path):
    with AnimatedWebpSource(write(tmp_path / "a.webp")) as source:
        info = source.info
        assert (info.height, info.width, info.frame_count) == (HEIGHT, WIDTH, 3)
        assert (info.rate, info.duration) == (5, 0.6)
        for _ in range(2):
            frames = list(source)
            assert [(frame.index, frame.time) for frame in frames] == [
                (0, 0),
                (1, Fraction(1, 10)),
                (2, Fraction(4, 10)),
            ]
            assert not frames[0].pixels.flags.writeable


def test_transparent_frames_are_no_fault(tmp_path):
    path = write(tmp_path / "a.webp", alpha=128)
    assert shown(path, [0, 150]) == [40, 120]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_half_a_file_is_an_error_of_ours_or_less_of_a_picture(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}")
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        told = path.name
        try:
            assert len(shown(path, [0, 150])) == 2
        except SourceError as error:
            told = str(error)
        assert path.name in told


def test_an_animation_too_large_to_keep_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(animated_images, "MOST_BYTES", 3 * HEIGHT * WIDTH * 4 - 1)
    with pytest.raises(SourceError, match=r"3 frames of 32x24.*mp4"):
        AnimatedWebpSource(write(tmp_path / "a.webp"))


def test_what_is_no_animated_webp(tmp_path):
    with pytest.raises(SourceError, match="no animated WebP"):
        AnimatedWebpSource(write(tmp_path / "a.png"))
    with pytest.raises(SourceError, match=r"nowhere\.webp"):
        AnimatedWebpSource(tmp_path / "nowhere.webp")


def test_an_opencv_that_is_too_old_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.webp")
    monkeypatch.delattr(cv2, "imdecodeanimation")
    with pytest.raises(MissingExtraError, match=r"OpenCV 4\.11"):
        AnimatedWebpSource(path)


def test_an_animation_changed_on_disk_is_shown_soon(tmp_path):
    path = write(tmp_path / "a.webp")
    room = Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0, Fraction(0))
    with Dresser(Controls(Look(background=str(path))), interval=0.01) as dresser:
        assert dresser.dress(room, NOBODY).pixels[0, 0, 0] == 40
        os.replace(write(tmp_path / "b.webp", greys=(90, 100, 110)), path)
        for _ in range(1000):
            seen = int(dresser.dress(room, NOBODY).pixels[0, 0, 0])
            if seen != 40:
                break
            time.sleep(0.01)
        assert seen == pytest.approx(90, abs=3)
        assert dresser.warnings() == ()
