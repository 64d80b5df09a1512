"""Videos cut or changed at any byte: frames or a clear error, never anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from humanseg.errors import PartialError, SourceError
from humanseg.sources.video_file import VideoFileSource

FRAMES = 20
KINDS = {
    "mp4": {"movflags": "faststart"},
    "mkv": {},
    "ts": {},
    "mov": {"movflags": "frag_keyframe+empty_moov"},
}
FUZZ = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=sorted(KINDS))
def whole(request, make_video) -> tuple[str, bytes]:
    path = make_video(
        f"whole.{request.param}",
        frames=FRAMES,
        size=(32, 32),
        options={"x264-params": "keyint=5:bframes=0"},
        container_options=KINDS[request.param],
        sound=[("aac", "eng")],
    )
    return request.param, path.read_bytes()


def read(path) -> tuple[int, bool]:
    """Frames that came, and whether the end was an error."""
    count = 0
    with VideoFileSource(path, threads=1) as video:
        last = None
        try:
            for frame in video:
                assert frame.pixels.shape == (video.info.height, video.info.width, 3)
                assert last is None or frame.time > last
                last = frame.time
                count += 1
        except PartialError as error:
            assert str(count) in error.what  # noqa: PT017
            return count, True
    return count, False


@FUZZ
@given(share=st.floats(0, 1))
def test_cut_anywhere(whole, tmp_path, share):
    suffix, data = whole
    path = tmp_path / f"cut.{suffix}"
    size = int(len(data) * share)
    path.write_bytes(data[:size])
    try:
        count, is_partial = read(path)
    except SourceError as error:
        assert error.hint  # noqa: PT017
        assert size < len(data)
        return
    assert count <= FRAMES
    if size == len(data):
        assert (count, is_partial) == (FRAMES, False)
    if suffix in ("mp4", "mkv") and count < FRAMES - 4:
        assert is_partial


@FUZZ
@given(place=st.floats(0, 1), length=st.integers(1, 64), seed=st.integers(0, 1000))
def test_changed_anywhere(whole, tmp_path, place, length, seed):
    suffix, data = whole
    changed = bytearray(data)
    start = int((len(data) - length) * place)
    changed[start : start + length] = np.random.default_rng(seed).bytes(length)
    path = tmp_path / f"changed.{suffix}"
    path.write_bytes(bytes(changed))
    try:
        read(path)
    except SourceError as error:
        assert error.hint  # noqa: PT017
