"""The sample clip is what its README says, and its alpha is the one that the script computes."""

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CLIP, ALPHA, BEACH = SAMPLES / "walk.mp4", SAMPLES / "alpha" / "walk.mkv", SAMPLES / "beach.jpg"
FILES = [CLIP, ALPHA, BEACH, SAMPLES / "portrait.png", SAMPLES / "make_samples.py"]
FILES.append(SAMPLES / "README.md")
# At rest, leaning in, in quick motion, partly out of the frame.
CHOSEN = [0, 52, 85, 106]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """The script as a module; samples/ is no package."""
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its own module up while it is made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def person(script: ModuleType) -> Any:
    return script.load_person()


def decode(path: Path) -> list[NDArray[np.uint8]]:
    """The planes as they are stored: no conversion on the way."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(), np.uint8) for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def alphas() -> list[NDArray[np.uint8]]:
    return decode(ALPHA)


@pytest.fixture(scope="module")
def frames() -> list[NDArray[np.uint8]]:
    return decode(CLIP)


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return 10 * math.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2))


def test_they_are_small_enough_for_a_repository() -> None:
    assert sum(path.stat().st_size for path in FILES) < 5_000_000


def test_the_clip_is_what_its_readme_says() -> None:
    with av.open(str(CLIP)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height) == (1280, 720)
        assert video.average_rate == 30
        context = video.codec_context
        tags = context.color_range, context.colorspace, context.color_primaries, context.color_trc
        assert [int(tag) for tag in tags] == [1, 1, 1, 1]  # limited range, BT.709 three times
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", 44_100, 2)


def test_the_sound_ticks_at_every_full_second() -> None:
    with av.open(str(CLIP)) as container:
        heard = [frame.to_ndarray() for frame in container.decode(audio=0)]
    sound = np.concatenate(heard, axis=1).mean(axis=0)
    assert abs(len(sound) / 44_100 - 5) < 0.1
    # The tick is the only thing up there: the difference of neighbours leaves little of the tune.
    loudness = np.abs(np.diff(sound, 2))
    for second in range(5):
        tick = loudness[max(0, second * 44_100 - 1100) :][:2200].max()
        between = loudness[second * 44_100 + 13_000 :][:9_000].max()
        assert tick > 3 * between


def test_each_frame_has_its_alpha(
    frames: list[NDArray[np.uint8]], alphas: list[NDArray[np.uint8]], script: ModuleType
) -> None:
    assert len(frames) == len(alphas) == script.FRAMES
    assert {frame.shape for frame in frames} == {(1080, 1280)}
    assert {alpha.shape for alpha in alphas} == {(720, 1280)}


def test_times_of_clip_and_alpha_agree() -> None:
    times = []
    for path in (CLIP, ALPHA):
        with av.open(str(path)) as container:
            times.append([frame.time for frame in container.decode(video=0)])
    # Matroska counts in milliseconds.
    assert times[0] == pytest.approx(times[1], abs=6e-4)


def test_the_alpha_is_soft_and_uses_its_whole_range(alphas: list[NDArray[np.uint8]]) -> None:
    counts = np.bincount(np.concatenate([alphas[k].ravel() for k in CHOSEN]), minlength=256)
    assert (counts > 0).all()
    soft = counts[1:255].sum() / counts.sum()
    assert 0.001 < soft < 0.05


def test_she_leaves_the_frame_partly(alphas: list[NDArray[np.uint8]]) -> None:
    touches = [bool((alpha[:, -1] > 127).any()) for alpha in alphas]
    assert not touches[0]
    assert touches[106]
    assert not touches[-1]
    assert all((alpha[-1] > 127).any() for alpha in alphas)


@pytest.mark.parametrize("index", CHOSEN)
def test_the_script_gives_the_very_alpha_that_is_stored(
    script: ModuleType, person: Any, alphas: list[NDArray[np.uint8]], index: int
) -> None:
    alpha = script.alpha_bytes(script.expose_person(person, index))
    np.testing.assert_array_equal(alpha, alphas[index])


def test_the_script_gives_the_frame_that_was_encoded(
    script: ModuleType, person: Any, frames: list[NDArray[np.uint8]]
) -> None:
    frame, _ = script.make_frame(person, script.make_room(), 106)
    planes = script.to_yuv(frame)
    assert psnr(planes, frames[106]) > 36
    # A frame too early or too late is clearly worse: clip and alpha are in step.
    assert psnr(planes, frames[106]) > psnr(planes, frames[100]) + 6


def test_the_background_is_a_picture_of_the_clip_s_size() -> None:
    picture = cv2.imread(str(BEACH))
    assert picture is not None
    assert picture.shape == (720, 1280, 3)
    assert picture.std() > 30
