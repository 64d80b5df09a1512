"""The installed `humanseg` command on real files: what it writes, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pytest
from numpy.typing import NDArray

import humanseg

SAMPLES = Path(__file__).parents[2] / "samples"
COMMAND = Path(sys.executable).parent / "humanseg"
LIMIT_SECONDS = 120
CLIP_FRAMES = 40
LONG_FRAMES = 3000
RATE = 30
SOUND_RATE = 48_000
SMALL_MOVIE_BYTES = 300_000

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and tools of Unix")


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def _video(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`humanseg video` with the smallest preset, without which these tests would take long."""
    return _run("video", *arguments, "--preset", "fast", "--threads", "2")


def _count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def _count_readable_frames(path: Path) -> int:
    """Frames before the first damage: a disk that fills up may cut the last packet short."""
    count = 0
    with av.open(str(path)) as container, contextlib.suppress(av.error.InvalidDataError):
        for _ in container.decode(video=0):
            count += 1
    return count


def _times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [Fraction(frame.pts or 0) * (frame.time_base or 1) for frame in frames]


def _first_picture(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _sample_pictures() -> Iterator[NDArray[np.uint8]]:
    """The sample's pictures at 320x180, over and over."""
    with av.open(str(SAMPLES / "walk.mp4")) as container:
        frames = container.decode(video=0)
        pictures = [
            next(frames).reformat(320, 180, "rgb24").to_ndarray() for _ in range(CLIP_FRAMES)
        ]
    while True:
        yield from pictures


def _write_clip(path: Path, *, frames: int, sound: bool = True, **options: str) -> Path:
    """Write an H.264 clip of the sample's pictures, with a tone if wanted."""
    with av.open(str(path), "w", options=options) as container:
        video: Any = container.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "crf": "28"}
        )
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        if frames:
            audio = container.add_stream("aac", rate=SOUND_RATE) if sound else None
            for index, picture in zip(range(frames), _sample_pictures(), strict=False):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if audio is not None:
                _write_tone(container, audio, frames / RATE)
    return path


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    count = int(seconds * SOUND_RATE)
    wave = np.sin(np.arange(count) * 2 * np.pi * 440 / SOUND_RATE).astype(np.float32)
    for begin in range(0, count - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(
            wave[None, begin : begin + 1024], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, begin, Fraction(1, SOUND_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short clip with sound."""
    return _write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=CLIP_FRAMES)


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes long enough to be stopped."""
    return _write_clip(tmp_path_factory.mktemp("long") / "long.mp4", frames=LONG_FRAMES)


# What it writes


def test_video_keeps_frames_times_and_sound(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    done = _video(clip, target, "--blur-background", "0.8")
    assert done.returncode == 0, done.stderr
    assert _times(target) == _times(clip)
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == 1
    assert str(target) in done.stdout
    assert f"{CLIP_FRAMES} frames of 320x180" in done.stdout
    assert "audio copied" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_blur_changes_the_background_and_little_of_the_person(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    mask = tmp_path / "mask.mp4"
    assert _video("--blur-background", clip, target, "--crf", "10").returncode == 0
    assert _video(clip, mask, "--output", "mask").returncode == 0
    before, after = (_first_picture(path).astype(float) for path in (clip, target))
    alpha = _first_picture(mask)[..., 0]
    change = np.abs(after - before).mean(axis=-1)
    assert change[alpha < 20].mean() > 3 * change[alpha > 235].mean()


def test_quiet_and_json(clip: Path, tmp_path: Path) -> None:
    quiet = _video(clip, tmp_path / "a.mp4", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    done = _video(clip, tmp_path / "b.mp4", "--json", "--background", "green")
    table = json.loads(done.stdout)
    assert (table["frames"], table["width"], table["height"]) == (CLIP_FRAMES, 320, 180)
    assert table["copied"] == ["audio"]
    assert done.stderr == ""


def test_background_picture(clip: Path, tmp_path: Path) -> None:
    done = _video(clip, tmp_path / "out.mp4", "--background", SAMPLES / "beach.jpg")
    assert done.returncode == 0, done.stderr
    assert _count_frames(tmp_path / "out.mp4") == CLIP_FRAMES


def test_overwrite(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("something else", encoding="utf-8")
    assert _video(clip, target, "--overwrite").returncode == 0
    assert _count_frames(target) == CLIP_FRAMES


def test_image_and_folder_of_images(clip: Path, tmp_path: Path) -> None:
    import cv2

    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(photos / name), _first_picture(clip)[..., ::-1])
    done = _run("image", photos, tmp_path / "masks", "--output", "mask", "--preset", "fast")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.png", "b.png"]
    mask = cv2.imread(str(tmp_path / "masks" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (180, 320)
    assert mask.max() > 200

    alone = _run("image", photos / "a.jpg", tmp_path / "one.jpg", "--preset", "fast", "--json")
    assert json.loads(alone.stdout)["frames"] == 1
    assert cv2.imread(str(tmp_path / "one.jpg")).shape == (180, 320, 3)


def test_letters_that_the_terminal_lacks(clip: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "\u4eba.png"
    av.VideoFrame.from_ndarray(_first_picture(clip), format="rgb24").save(str(source))
    done = subprocess.run(
        [COMMAND, "image", source, target, "--preset", "fast"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\\u4eba.png" in done.stdout
    assert target.exists()


def test_models_and_version() -> None:
    table = json.loads(_run("models", "--json").stdout)
    assert {card["name"] for card in table["weights"]} >= {
        "fast",
        *table["presets"]["best"]["models"],
    }
    assert _run("--version").stdout.startswith(f"humanseg {humanseg.__version__}\nengine: ")


def test_doctor_finds_no_problem_here() -> None:
    done = _run("doctor", "--json")
    problems = [check for check in json.loads(done.stdout)["checks"] if check["state"] == "problem"]
    assert problems == []
    assert done.returncode == 0


def test_bench(clip: Path) -> None:
    options = "--size 160x96 --frames 8 --runs 1 --presets fast --json"
    done = _run("bench", clip, *options.split())
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert [run["frames"] for run in table["runs"]["fast"]] == [8]
    assert table["medians"]["plain"]["times_plain"] == 1
    assert table["medians"]["fast"]["peak_megabytes"] > 50


def test_closed_pipe_is_quiet() -> None:
    with subprocess.Popen(
        [COMMAND, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


# What it refuses: one line that names the path, the next step, exit code 2, and nothing is lost


def _without_index(folder: Path, clip: Path) -> Path:
    content = clip.read_bytes()
    path = folder / "noindex.mp4"
    path.write_bytes(content[: content.rindex(b"moov") - 4])
    return path


def _text(folder: Path, clip: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("This is no video.\n" * 100, encoding="utf-8")
    return path


def _empty(folder: Path, clip: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def _folder(folder: Path, clip: Path) -> Path:
    path = folder / "folder.mp4"
    path.mkdir()
    return path


def _missing(folder: Path, clip: Path) -> Path:
    return folder / "missing.mp4"


def _sound_only(folder: Path, clip: Path) -> Path:
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        _write_tone(container, container.add_stream("aac", rate=SOUND_RATE), 1)
    return path


def _no_frames(folder: Path, clip: Path) -> Path:
    """A file with a video stream and no picture in it."""
    path = folder / "noframes.mkv"
    with av.open(str(clip)) as source, av.open(str(path), "w") as container:
        container.add_stream_from_template(source.streams.video[0])
        container.start_encoding()
    return path


BAD_SOURCES = (_missing, _folder, _text, _empty, _without_index, _sound_only, _no_frames)


@pytest.mark.parametrize("make", BAD_SOURCES, ids=lambda make: make.__name__.strip("_"))
def test_bad_source(make: Any, clip: Path, tmp_path: Path) -> None:
    source = make(tmp_path, clip)
    before = sorted(tmp_path.rglob("*"))
    done = _video(source, tmp_path / "out.mp4")
    _check_refusal(done, str(source))
    assert sorted(tmp_path.rglob("*")) == before


def _check_refusal(done: subprocess.CompletedProcess[str], subject: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert first.startswith("Error: ")
    assert subject in first
    [step] = rest
    assert step.startswith("Next step: ")


def test_output_is_the_input(clip: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(clip, tmp_path / "in.mp4"))
    (tmp_path / "sub").mkdir()
    same = tmp_path / "sub" / ".." / "in.mp4"
    for options in ([], ["--overwrite"]):
        _check_refusal(_video(source, same, *options), "in.mp4")
        assert source.read_bytes() == clip.read_bytes()


def test_output_exists(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious", encoding="utf-8")
    done = _video(clip, target)
    _check_refusal(done, str(target))
    assert "--overwrite" in done.stderr
    assert target.read_text(encoding="utf-8") == "precious"


def test_output_folder_is_missing(clip: Path, tmp_path: Path) -> None:
    _check_refusal(_video(clip, tmp_path / "no" / "out.mp4"), str(tmp_path / "no"))
    assert list(tmp_path.iterdir()) == []


def test_output_folder_is_a_file(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    _check_refusal(_video(clip, tmp_path / "file" / "out.mp4"), str(tmp_path / "file"))


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    is_immutable = False
    if os.access(folder, os.W_OK):
        # root may write everywhere; only an attribute of the file system stops it.
        chattr = shutil.which("chattr")
        if chattr is None or subprocess.run([chattr, "+i", folder], capture_output=True).returncode:
            pytest.skip("this user may write everywhere, and chattr does not work here")
        is_immutable = True
    yield folder
    if is_immutable:
        subprocess.run(["chattr", "-i", folder], check=True)
    folder.chmod(0o755)


def test_output_folder_is_read_only(clip: Path, read_only_folder: Path) -> None:
    _check_refusal(_video(clip, read_only_folder / "out.mp4"), str(read_only_folder))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--codec", "nosuch"], "nosuch"),
        (["--encoder-preset", "nosuch"], "nosuch"),
        (["--crf", "999"], "999"),
        (["--background", "nosuch.jpg"], "nosuch.jpg"),
        (["--background", "#12345"], "#12345"),
        (["--background", "green", "--blur-background"], "--blur-background"),
    ],
)
def test_wrong_options(options: list[str], words: str, clip: Path, tmp_path: Path) -> None:
    _check_refusal(_video(clip, tmp_path / "out.mp4", *options), words)
    assert list(tmp_path.iterdir()) == []


def test_unknown_container(clip: Path, tmp_path: Path) -> None:
    _check_refusal(_video(clip, tmp_path / "out.nosuch"), "out.nosuch")


def test_background_is_no_picture(clip: Path, tmp_path: Path) -> None:
    background = tmp_path / "background.jpg"
    background.write_text("no picture", encoding="utf-8")
    _check_refusal(_video(clip, tmp_path / "out.mp4", "--background", background), str(background))
    assert not (tmp_path / "out.mp4").exists()


def test_bad_images(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    _check_refusal(_run("image", source, tmp_path / "out.jpg"), str(source))
    source.write_text("no picture", encoding="utf-8")
    _check_refusal(_run("image", source, tmp_path / "out.jpg", "--preset", "fast"), str(source))
    (tmp_path / "none").mkdir()
    _check_refusal(_run("image", tmp_path / "none", tmp_path / "out"), str(tmp_path / "none"))


def test_errors_as_json(tmp_path: Path) -> None:
    done = _video(tmp_path / "missing.mp4", tmp_path / "out.mp4", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["subject"] == str(tmp_path / "missing.mp4")
    assert set(error) == {"what", "subject", "hint"}
    assert done.stderr == ""


def test_damaged_weights_are_refused(clip: Path, tmp_path: Path) -> None:
    package = tmp_path / "site" / "humanseg"
    shutil.copytree(Path(humanseg.__file__).parent, package)
    weights = package / "weights" / "fast.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    target = tmp_path / "out.mp4"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "humanseg_cli", "video", clip, target, "--preset", "fast"],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    _check_refusal(done, str(weights))
    assert "checksum" in done.stderr
    assert not target.exists()


# What ends early leaves a file that can be played


def test_truncated_video(tmp_path: Path) -> None:
    whole = _write_clip(tmp_path / "whole.mp4", frames=150, sound=False, movflags="faststart")
    source = tmp_path / "cut.mp4"
    source.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    target = tmp_path / "out.mp4"
    done = _video(source, target)
    assert done.returncode == 3, done.stderr
    written = _count_frames(target)
    assert 20 < written < 130
    assert f"{written} of about 150 frames" in done.stdout
    assert f"{written} of " in done.stderr
    assert str(source) in done.stderr

    done = _video(source, target, "--json", "--overwrite")
    table = json.loads(done.stdout)
    assert (table["frames"], table["promised"]) == (written, 150)
    assert "150" in table["error"]["what"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_job_keeps_what_it_has(
    number: signal.Signals, code: int, long_clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    with subprocess.Popen(
        [COMMAND, "video", long_clip, target, "--preset", "fast"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts its jobs in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        _wait_for_frames(process, tmp_path)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == code, stderr
    assert not target.exists()
    [kept] = tmp_path.iterdir()
    assert "partial" in kept.name
    frames = _count_frames(kept)
    assert 0 < frames < LONG_FRAMES
    assert str(kept) in stderr
    assert f"{frames:,} frames" in stderr
    assert stdout == ""


def _wait_for_frames(process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until a file in the folder has grown beyond its header."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        if any(path.stat().st_size > 20_000 for path in folder.iterdir()):
            return
        time.sleep(0.05)
    process.kill()
    raise AssertionError("no file grew")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={SMALL_MOVIE_BYTES}", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root, outside of containers")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk(long_clip: Path, small_disk: Path) -> None:
    target = small_disk / "out.mp4"
    done = _video(long_clip, target)
    assert done.returncode == 1, done.stderr
    assert not target.exists()
    [kept] = small_disk.iterdir()
    assert "partial" in kept.name
    assert 0 < _count_readable_frames(kept) < LONG_FRAMES
    assert str(kept) in done.stderr
    assert "Next step: " in done.stderr
