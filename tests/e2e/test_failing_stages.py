"""What becomes of a video whose stages fail in the middle of it."""

import threading

import numpy as np
import pytest

from humanseg import jobs
from humanseg.errors import OutputError, SourceError
from humanseg.segmenter import Segmenter
from humanseg.testing import BrightnessEngine


class Failing(BrightnessEngine):
    """Fails after a few batches, once frames of those before have been written."""

    def __init__(self, error):
        super().__init__()
        self._error = error
        self.some_are_written = threading.Event()

    def infer(self, batch):
        if len(self.batches) == 2:
            self.some_are_written.wait(20)
            raise self._error
        return super().infer(batch)


def run(monkeypatch, make_video, target, error):
    engine = Failing(error)
    monkeypatch.setattr(jobs, "Segmenter", lambda *_, **__: Segmenter.from_engine(engine))

    def watch(progress):
        if progress.frames >= 5:
            engine.some_are_written.set()

    return jobs.process_video(make_video(frames=40), target, on_progress=watch)


def test_a_failing_engine_leaves_a_named_partial(monkeypatch, make_video, read_video, tmp_path):
    with pytest.raises(RuntimeError, match="no memory") as caught:
        run(monkeypatch, make_video, tmp_path / "out.mp4", RuntimeError("no memory"))
    partial = tmp_path / "out.partial.mp4"
    assert str(partial) in caught.value.__notes__[0]
    assert np.all(np.diff(read_video(partial).times) > 0)
    assert not (tmp_path / "out.mp4").exists()


def test_a_background_lost_on_the_way_is_an_output_error(monkeypatch, make_video, tmp_path):
    lost = SourceError("is gone", subject="beach.mp4")
    with pytest.raises(OutputError, match=r"beach\.mp4: is gone .*frames are kept in") as caught:
        run(monkeypatch, make_video, tmp_path / "out.mp4", lost)
    assert caught.value.exit_code == 1
    assert (tmp_path / "out.partial.mp4").exists()
