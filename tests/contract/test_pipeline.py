"""The pipeline between doubles: order, counts, ends and failures."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from humanseg.backgrounds import Color
from humanseg.composite import Compositor
from humanseg.errors import Interrupted, PartialError, SinkError
from humanseg.gate import NO_GATE, GateOptions, MotionGate
from humanseg.pipeline import STAGES, Pipeline, Stages, channel_depth
from humanseg.refine import Refiner
from humanseg.segmenter import Segmenter
from humanseg.temporal import SmoothingOptions, TemporalSmoother
from humanseg.testing import BrightnessEngine, ListSource, RecordingSink


class SelectiveEngine(BrightnessEngine):
    """Fails at one call."""

    def __init__(self, fail_at=None):
        super().__init__()
        self._fail_at = fail_at

    def infer(self, batch):
        if len(self.batches) == self._fail_at:
            raise RuntimeError("the engine fails as asked")
        return super().infer(batch)


def stages(engine=None, output="composite"):
    return Stages(
        Segmenter.from_engine(engine or BrightnessEngine()),
        TemporalSmoother(),
        Refiner(),
        Compositor(Color((9, 9, 9)), output),
    )


def pictures(count, height=24, width=32):
    return [np.full((height, width, 3), 7 * index % 250, np.uint8) for index in range(count)]


def no_pipeline_thread_is_left():
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if not any(thread.name.startswith("humanseg-") for thread in threading.enumerate()):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("count", [1, 3, 4, 5, 50])
@pytest.mark.parametrize("batch", [1, 4])
def test_every_frame_arrives_once_in_order_and_in_time(count, batch):
    source, sink = ListSource(pictures(count)), RecordingSink()
    figures = Pipeline(source, stages(), sink, batch=batch).run()
    assert figures.frames == count
    assert [frame.index for frame in sink.frames] == list(range(count))
    assert [frame.time for frame in sink.frames] == [frame.time for frame in source]
    assert figures.problem is None
    assert no_pipeline_thread_is_left()


def test_masks_stay_with_their_frames():
    bright = [np.full((24, 32, 3), value, np.uint8) for value in (0, 255) * 20]
    sink = RecordingSink()
    Pipeline(ListSource(bright), stages(output="mask"), sink).run()
    means = [frame.pixels.mean() for frame in sink.frames]
    assert means == [0, 255] * 20


def test_no_batch_is_padded_or_larger_than_allowed():
    engine = BrightnessEngine()
    parts = replace(stages(engine), gate=MotionGate(NO_GATE))
    Pipeline(ListSource(pictures(9)), parts, RecordingSink(), batch=4).run()
    sizes = [shape[0] for shape in engine.batches]
    assert sum(sizes) == 9
    assert max(sizes) <= 4


def test_the_networks_are_left_out_while_nothing_moves():
    engine, sink = BrightnessEngine(), RecordingSink()
    still = [np.full((24, 32, 3), 90, np.uint8)] * 10
    parts = stages(engine, output="mask")
    Pipeline(ListSource([*still, np.full((24, 32, 3), 250, np.uint8)]), parts, sink).run()
    assert sum(shape[0] for shape in engine.batches) == 3
    assert (parts.gate.frames, parts.gate.skipped) == (11, 8)
    assert [frame.index for frame in sink.frames] == list(range(11))


def test_the_networks_see_whole_batches_of_what_moves():
    engine = BrightnessEngine()
    shades = [np.full((24, 32, 3), 80 * (index // 2 % 3), np.uint8) for index in range(40)]
    source = ListSource(shades)
    figures = Pipeline(source, stages(engine), RecordingSink(), batch=4).run()
    assert figures.frames == 40
    # Every second frame is new.
    sizes = [shape[0] for shape in engine.batches]
    assert sum(sizes) == 20
    assert sizes == [4] * 5


@settings(max_examples=30, deadline=None)
@given(
    levels=st.lists(st.sampled_from([0, 255]), min_size=1, max_size=14),
    look_ahead=st.integers(0, 2),
    most=st.integers(0, 5),
    batch=st.integers(1, 5),
)
def test_frames_are_never_out_of_step_with_their_masks(levels, look_ahead, most, batch):
    """White frames have white masks, black ones black masks, however much waits or is left out."""
    sink = RecordingSink()
    parts = replace(
        stages(output="mask"),
        smoother=TemporalSmoother(SmoothingOptions(look_ahead=look_ahead)),
        gate=MotionGate(GateOptions(most=most)),
    )
    shades = [np.full((24, 32, 3), level, np.uint8) for level in levels]
    Pipeline(ListSource(shades), parts, sink, batch=batch).run()
    assert [frame.index for frame in sink.frames] == list(range(len(levels)))
    assert [int(frame.pixels.mean()) for frame in sink.frames] == levels


def test_busy_time_of_every_stage_is_known():
    figures = Pipeline(ListSource(pictures(9)), stages(), RecordingSink()).run()
    assert tuple(figures.stage_seconds) == STAGES
    assert all(0 < seconds <= figures.seconds for seconds in figures.stage_seconds.values())


def test_progress_is_told_in_the_callers_thread():
    seen = []
    Pipeline(ListSource(pictures(30)), stages(), RecordingSink()).run(
        lambda progress: seen.append((threading.current_thread(), progress))
    )
    assert {thread for thread, _ in seen} == {threading.current_thread()}
    assert seen[-1][1].promised == 30
    assert [p.frames for _, p in seen] == sorted(p.frames for _, p in seen)


def test_a_source_that_ends_early_has_all_its_frames_written():
    problem = PartialError("20 of about 50 frames could be read")
    sink = RecordingSink()
    figures = Pipeline(ListSource(pictures(20), error=problem), stages(), sink).run()
    assert figures.frames == len(sink.frames) == 20
    assert figures.problem is problem


def test_a_source_that_fails_has_its_frames_written_and_its_error_raised():
    sink = RecordingSink()
    source = ListSource(pictures(20), error=OSError("the disk is gone"))
    with pytest.raises(OSError, match="the disk is gone"):
        Pipeline(source, stages(), sink).run()
    assert len(sink.frames) == 20
    assert no_pipeline_thread_is_left()


def test_a_sink_that_fails_ends_the_run_with_its_error():
    sink = RecordingSink(fail_at=5, error=SinkError("the disk is full"))
    with pytest.raises(SinkError, match="the disk is full"):
        Pipeline(ListSource(pictures(200)), stages(), sink).run()
    assert [frame.index for frame in sink.frames] == list(range(5))
    assert no_pipeline_thread_is_left()


def test_an_engine_that_fails_ends_the_run_with_its_error():
    with pytest.raises(RuntimeError, match="the engine fails"):
        Pipeline(ListSource(pictures(200)), stages(SelectiveEngine(2)), RecordingSink()).run()
    assert no_pipeline_thread_is_left()


def test_a_failing_progress_display_does_not_leave_threads_behind():
    def broken(progress):
        raise ValueError("the terminal is gone")

    with pytest.raises(ValueError, match="the terminal is gone"):
        Pipeline(ListSource(pictures(300)), stages(), RecordingSink()).run(broken)
    assert no_pipeline_thread_is_left()


class SlowSource(ListSource):
    """Frames without end, each after a little while."""

    def __iter__(self):
        while True:
            for frame in super().__iter__():
                time.sleep(0.005)
                yield frame


@pytest.mark.parametrize("interrupts", [1, 2])
def test_ctrl_c_writes_what_was_read_and_says_so(interrupts):
    sink = RecordingSink()
    calls = []

    def press_ctrl_c(progress):
        if progress.frames > 10 and len(calls) < interrupts:
            calls.append(progress)
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        Pipeline(SlowSource(pictures(50)), stages(), sink).run(press_ctrl_c)
    assert len(sink.frames) > 10
    indices = [frame.index for frame in sink.frames]
    assert indices == [index % 50 for index in range(len(indices))]
    assert no_pipeline_thread_is_left()


def test_ctrl_c_at_the_very_moment_a_stage_ends_does_not_hang(monkeypatch):
    supervised = threading.Event()

    class Interrupting(threading.Semaphore):
        presses = 1

        def acquire(self, blocking=True, timeout=None):
            supervised.set()
            is_taken = super().acquire(blocking, timeout)
            if is_taken and self.presses:
                self.presses -= 1
                raise KeyboardInterrupt
            return is_taken

    class Patient(ListSource):
        """Ends no earlier than the caller's thread watches, however busy the machine is."""

        def __iter__(self):
            supervised.wait(5)
            yield from super().__iter__()

    monkeypatch.setattr(threading, "Semaphore", Interrupting)
    pipeline = Pipeline(Patient(pictures(5)), stages(), RecordingSink())
    ends = []

    def run():
        try:
            pipeline.run()
        except BaseException as error:
            ends.append(type(error))

    runner = threading.Thread(target=run, daemon=True)
    runner.start()
    runner.join(20)
    assert ends == [Interrupted]


class HangingSource(ListSource):
    """A camera whose driver hangs inside a read."""

    release = threading.Event()

    def __iter__(self):
        yield from super().__iter__()
        self.release.wait(20)


def test_a_hanging_source_does_not_hold_up_ctrl_c():
    sink = RecordingSink()

    def press_ctrl_c(progress):
        if progress.frames == 5 and progress.seconds > 0.2:
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(Interrupted):
        Pipeline(HangingSource(pictures(5)), stages(), sink).run(press_ctrl_c)
    assert time.monotonic() - began < 6
    assert len(sink.frames) == 5
    HangingSource.release.set()
    assert no_pipeline_thread_is_left()


@pytest.mark.parametrize(
    ("frame_bytes", "depth"), [(1, 16), (1280 * 720 * 3, 16), (3840 * 2160 * 3, 2), (10**9, 1)]
)
def test_waiting_frames_are_bounded_in_bytes(frame_bytes, depth):
    assert channel_depth(frame_bytes) == depth


def test_frames_are_read_only_once_handed_on():
    source = ListSource(pictures(3))
    seen = []

    class WatchingRefiner(Refiner):
        def refine(self, pixels, mask):
            seen.append(pixels.flags.writeable)
            return super().refine(pixels, mask)

    parts = stages()
    parts = Stages(parts.segmenter, parts.smoother, WatchingRefiner(), parts.compositor)
    Pipeline(source, parts, RecordingSink()).run()
    assert seen == [False] * 3


@given(
    count=st.integers(1, 60),
    batch=st.integers(1, 6),
    source_fails=st.booleans(),
    sink_fails_at=st.none() | st.integers(0, 60),
    engine_fails_at=st.none() | st.integers(0, 20),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_fails_the_run_ends_and_keeps_the_order(
    count, batch, source_fails, sink_fails_at, engine_fails_at
):
    source = ListSource(pictures(count), error=OSError("source") if source_fails else None)
    sink = RecordingSink(fail_at=sink_fails_at, error=OSError("sink"))
    pipeline = Pipeline(source, stages(SelectiveEngine(engine_fails_at)), sink, batch=batch)
    told = "nothing"
    try:
        assert pipeline.run().frames == count
    except (OSError, RuntimeError) as error:
        told = str(error)
    assert told in ("nothing", "source", "sink", "the engine fails as asked")
    indices = [frame.index for frame in sink.frames]
    assert indices == list(range(len(indices)))
    assert no_pipeline_thread_is_left()
