"""One stream to several sinks; the fault of one is not the others'."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from humanseg.frames import Frame
from humanseg.sinks.tee import TeeSink
from humanseg.testing import RecordingSink

FRAME = Frame(np.zeros((2, 2, 3), np.uint8), 0, Fraction(0))


class Stubborn(RecordingSink):
    """Cannot be closed."""

    def close(self) -> None:
        super().close()
        raise OSError("will not close")


def test_all_sinks_are_given_all_frames_and_closed() -> None:
    sinks = [RecordingSink(), RecordingSink()]
    with TeeSink(*sinks) as tee:
        for _ in range(3):
            tee.write(FRAME)
        assert not any(sink.is_closed for sink in sinks)
    assert [len(sink.frames) for sink in sinks] == [3, 3]
    assert all(sink.is_closed for sink in sinks)


def test_a_sink_that_fails_keeps_no_frame_from_the_others() -> None:
    bad, worse, good = (
        RecordingSink(fail_at=0, error=OSError("the first")),
        RecordingSink(fail_at=0, error=OSError("the second")),
        RecordingSink(),
    )
    with TeeSink(bad, worse, good) as tee:
        with pytest.raises(OSError, match="the first"):
            tee.write(FRAME)
        assert len(good.frames) == 1
    assert bad.is_closed
    assert good.is_closed


def test_a_sink_that_cannot_be_closed_keeps_the_others_from_nothing() -> None:
    stubborn, good = Stubborn(), RecordingSink()
    with pytest.raises(OSError, match="will not close"):
        TeeSink(stubborn, good).close()
    assert good.is_closed
    with pytest.raises(OSError, match="will not close"), TeeSink(Stubborn(), RecordingSink()):
        pass


def test_sinks_are_told_of_the_error_that_ends_the_stream() -> None:
    told: list[BaseException | None] = []

    class Told(RecordingSink):
        def __exit__(self, kind, error, trace) -> None:
            told.append(error)
            super().__exit__(kind, error, trace)

    error = RuntimeError("a stage failed")
    with pytest.raises(RuntimeError), TeeSink(Told(), Told()):
        raise error
    assert told == [error, error]
