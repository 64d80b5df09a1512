"""Doubles of a source, a sink, an engine, a virtual camera and the time; masks compared.

For tests of this package and of yours. The fixture `assert_masks_close` of `pytest_plugin.py`
compares with masks in files.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from humanseg.closing import Closing
from humanseg.frames import Frame, StreamInfo
from humanseg.metrics import iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Image

MIN_IOU = 0.98
MAX_DIFFERENCE = 0.01
"""Two engines, or two precisions, agree within these; other weights do not."""


def assert_masks_close(
    found: NDArray[Any],
    expected: NDArray[Any],
    *,
    min_iou: float = MIN_IOU,
    max_difference: float = MAX_DIFFERENCE,
) -> None:
    """Fail unless two masks are nearly the same.

    Args:
        found: (H, W), as floats 0..1 or as bytes 0..255.
        expected: the same.
        min_iou: least overlap at half, 0..1; two empty masks overlap by 1.
        max_difference: most mean absolute difference, 0..1.

    Raises:
        AssertionError: they are farther apart, or of different sizes.
        TypeError: neither floats nor bytes.
    """
    one, other = _as_alpha(found), _as_alpha(expected)
    if one.shape != other.shape:
        raise AssertionError(f"a mask of {one.shape}, expected {other.shape}")
    overlap = iou(one > 0.5, other > 0.5)
    if overlap < min_iou:
        raise AssertionError(f"IoU {overlap:.4f} is below {min_iou:g}")
    apart = float(np.abs(one - other).mean())
    if apart > max_difference:
        raise AssertionError(f"masks differ by {apart:.4f}, more than {max_difference:g}")


def _as_alpha(mask: NDArray[Any]) -> NDArray[np.float32]:
    """(H, W) float32, 0..1."""
    if mask.dtype == np.uint8:
        return np.asarray(mask.astype(np.float32) / 255)
    if not np.issubdtype(mask.dtype, np.floating):
        raise TypeError(f"a mask of {mask.dtype}; give floats 0..1, or bytes 0..255")
    return mask.astype(np.float32)


class ListSource(Closing):
    """Gives pictures from memory at a steady rate; can fail at the end."""

    def __init__(
        self,
        pictures: Sequence[Image],
        *,
        rate: int = 30,
        error: Exception | None = None,
    ) -> None:
        """Hold the pictures.

        Args:
            pictures: (H, W, 3) uint8 BGR, at least one, all of one size.
            rate: frames a second.
            error: raised after the last picture.
        """
        self._pictures = list(pictures)
        self._rate = rate
        self._error = error
        self.is_closed = False

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream."""
        height, width = self._pictures[0].shape[:2]
        return StreamInfo(
            width=width,
            height=height,
            rate=Fraction(self._rate),
            frame_count=len(self._pictures),
            time_base=Fraction(1, self._rate),
            duration=len(self._pictures) / self._rate,
            origin="memory",
        )

    def __iter__(self) -> Iterator[Frame]:
        step = Fraction(1, self._rate)
        for index, picture in enumerate(self._pictures):
            yield Frame(picture.copy(), index, index * step, step)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True


class RecordingSink(Closing):
    """Keeps every frame written to it; can fail at a given one."""

    def __init__(self, *, fail_at: int | None = None, error: Exception | None = None) -> None:
        """Raise `error` instead of taking the frame with number `fail_at`, if that is given."""
        self.frames: list[Frame] = []
        self.is_closed = False
        self._fail_at = fail_at
        self._error = error or OSError("the sink fails as asked")

    def write(self, frame: Frame) -> None:
        """Keep the frame."""
        if len(self.frames) == self._fail_at:
            raise self._error
        self.frames.append(frame)

    def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True


class BrightnessEngine(Closing):
    """Takes bright pixels for people: probability = luma; cheap and exactly predictable."""

    name = "brightness"

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, h, w) float32: mean of the three colours over 255."""
        self.batches.append(batch.shape)
        return np.asarray(batch.mean(axis=3, dtype=np.float32) * np.float32(1 / 255))


class FakeClock:
    """Time that passes only when it is told to; the threads that wait on it run without delay.

    Give it wherever a `clock` is asked for. While `advance` runs, each thread that waits for a
    moment within the time let pass finds it there at once, so that hours take seconds. Meant for
    one thread that waits at a time; `waiters` counts more.
    """

    PATIENCE = 60.0
    """Real seconds after which a thread that should wait on the clock again is taken for stuck."""

    def __init__(self, now: float = 1000.0, *, waiters: int = 1) -> None:
        """Begin.

        Args:
            now: seconds.
            waiters: threads that use the clock; `advance` waits until all have come to rest.
        """
        self._now = self._limit = now
        self._waiters = waiters
        self._rest = threading.Condition()
        self._resting: dict[int, threading.Condition] = {}

    def __call__(self) -> float:
        """The time, in seconds."""
        return self._now

    def wait(self, condition: threading.Condition, seconds: float | None = None) -> None:
        """Wait on a condition that is held: until it is notified or that time has passed."""
        until = math.inf if seconds is None else self._now + seconds
        with self._rest:
            if until <= self._limit:
                self._now = max(self._now, until)
                return
            self._resting[threading.get_ident()] = condition
            self._rest.notify_all()
        condition.wait()
        with self._rest:
            self._resting.pop(threading.get_ident(), None)

    def sleep(self, seconds: float) -> None:
        """Let time pass in this thread alone; for a `sleep` that should cost none."""
        self.skip(seconds)

    def skip(self, seconds: float) -> None:
        """Let time pass without waking anyone, as when a machine stands still."""
        with self._rest:
            self._now += seconds
            self._limit = max(self._limit, self._now)

    def settle(self) -> None:
        """Return when all threads have done what is due now."""
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Let time pass; returns when all threads have done what was due and wait again.

        Raises:
            TimeoutError: a thread does not come to rest.
        """
        conditions = self._all_at_rest()
        with self._rest:
            self._limit = max(self._limit, self._now + seconds)
            self._resting.clear()
        for condition in conditions:
            with condition:
                condition.notify_all()
        self._all_at_rest()
        with self._rest:
            self._now = self._limit

    def _all_at_rest(self) -> list[threading.Condition]:
        with self._rest:
            if not self._rest.wait_for(lambda: len(self._resting) >= self._waiters, self.PATIENCE):
                raise TimeoutError("a thread does not come back to wait on the clock")
            return list(self._resting.values())


class RecordingCamera(Closing):
    """A virtual camera in memory: a back-end of pyvirtualcam that keeps every frame sent to it.

    Like the real ones it has one device that one program may feed. It can be unplugged, so that
    sending and opening fail until it is plugged in again.

    Attributes:
        name: of the back-end, for `VirtualCameraSink(backend=...)`.
        device: its only device.
        frames: those sent: (H, W, channels) uint8 for the formats that have pixels, else flat.
        times: when each was sent, by the clock.
        count: frames sent in all, also those no longer kept.
        openings: how often it was opened.
        is_open: whether it is fed now.
        on_send: called before each frame is taken; may raise or take its time.
    """

    CHANNELS = {"raw ": 3, "24BG": 3, "ABGR": 4}  # noqa: RUF012
    """By pyvirtualcam's four letters."""

    def __init__(
        self,
        name: str = "recording",
        *,
        keep: int | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Register with pyvirtualcam until `close`.

        Args:
            name: of the back-end.
            keep: frames and times to keep, the newest; None for all.
            clock: gives the times; None to keep none.
        """
        from pyvirtualcam.camera import BACKENDS

        self.name = name
        self.device = "memory"
        self.frames: deque[NDArray[np.uint8]] = deque(maxlen=keep)
        self.times: deque[float] = deque(maxlen=keep)
        self.count = self.openings = 0
        self.is_open = False
        self.on_send: Callable[[], None] | None = None
        self._clock = clock
        self._is_plugged_in = True
        self._shape: tuple[int, ...] = (-1,)
        self._backends = BACKENDS
        self._backends[name] = self._open

    def unplug(self) -> None:
        """Have sending and opening fail."""
        self._is_plugged_in = False

    def plug_in(self) -> None:
        """Have it work again."""
        self._is_plugged_in = True

    def close(self) -> None:
        """Take it out of pyvirtualcam's back-ends."""
        self._backends.pop(self.name, None)

    def _open(
        self, *, width: int, height: int, fps: float, fourcc: int, device: str | None
    ) -> _OpenedCamera:
        if not self._is_plugged_in or device not in (None, self.device):
            raise RuntimeError(f"Device {device or self.device} does not exist.")
        if self.is_open:
            raise RuntimeError(f"Device {self.device} is already in use.")
        letters = fourcc.to_bytes(4, "little").decode("ascii")
        channels = self.CHANNELS.get(letters)
        self._shape = (height, width, channels) if channels else (-1,)
        self.is_open = True
        self.openings += 1
        return _OpenedCamera(self)

    def take(self, frame: NDArray[np.uint8]) -> None:
        """Keep a frame that is sent.

        Raises:
            RuntimeError: it is unplugged.
        """
        if self.on_send is not None:
            self.on_send()
        if not self._is_plugged_in:
            raise RuntimeError("No such device")
        self.frames.append(frame.reshape(self._shape).copy())
        if self._clock is not None:
            self.times.append(self._clock())
        self.count += 1


class _OpenedCamera:
    """What pyvirtualcam's `Camera` holds while a recording camera is open."""

    def __init__(self, recording: RecordingCamera) -> None:
        self._recording = recording

    def send(self, frame: NDArray[np.uint8]) -> None:
        self._recording.take(frame)

    def close(self) -> None:
        self._recording.is_open = False

    def device(self) -> str:
        return self._recording.device

    def native_fourcc(self) -> Any:
        return None
