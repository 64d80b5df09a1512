"""A virtual camera that other programs choose as theirs; it gives frames whatever happens."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from humanseg.clock import Clock, SystemClock
from humanseg.closing import Closing
from humanseg.errors import HumansegError, SettingsError, SinkError
from humanseg.sinks.camera_device import CameraDevice, CameraRequest, open_camera
from humanseg.sinks.camera_pixels import encode, even, fit
from humanseg.sinks.pace import Pace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Frame, Image

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before a device that went away is opened again; the last one from then on."""

STEADY_SECONDS = 5.0
"""How long a device must take frames before its next loss begins with the first pause again."""

DELAYS_KEPT = 1800
"""A minute of delays at 30 frames a second."""

_CLOSE_SECONDS = 2.0
"""How long to wait at the end for a driver that hangs."""


class SinkState(Enum):
    """Whether a device takes frames."""

    OK = "ok"
    LOST = "lost"


class VirtualCameraSink(Closing):
    """Takes frames at any pace and size and feeds a virtual camera steadily.

    `write` only swaps the newest frame in. A thread of its own, "humanseg-camera", fits, encodes
    and sends it at once; when none comes in time it sends the last one again, and after
    `hold_seconds` the card. A device that stops taking frames is closed and opened again, after
    pauses that grow; frames written meanwhile are dropped, but for the newest.

    Attributes:
        height: of the camera's picture.
        width: of the camera's picture.
        sent: frames the device has taken.
        repeated: those among them that were not new: the last one again, or the card.
        replaced: frames that were never sent, since a newer one came before their turn.
        warnings: what is not as it was asked for.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        rate: float,
        device: str | None = None,
        backend: str | None = None,
        pixel_format: str = "auto",
        hold_seconds: float = 1.0,
        card: Image | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Open the device and begin to send: the card, or black, until the first frame comes.

        Args:
            size: (height, width) of the camera's picture; odd numbers are made even, one less.
            rate: frames a second.
            device: "/dev/video10", its number or its label on Linux, a camera's name elsewhere;
                None for the first that is free, one labelled "humanseg" before others.
            backend: "v4l2loopback", "obs", "unitycapture" or one registered with pyvirtualcam;
                None for the first that works.
            pixel_format: "bgr", "rgb", "rgba", "gray", "i420", "nv12", "yuyv" or "uyvy", where
                the back-end takes it; "auto" for the one that costs least.
            hold_seconds: how long the last frame stands before the card takes its place.
            card: (H, W, 3) uint8 BGR of any size; None to let the last frame stand for ever.
            clock: the system's, or a test's.

        Raises:
            MissingExtraError: pyvirtualcam is not installed.
            SettingsError: a size, rate, back-end or pixel format that does not work.
            SinkError: there is no virtual camera, it is in use, or it may not be opened.
        """
        if min(size) < 2 or not 0 < rate <= 1000:
            raise SettingsError(
                f"{size[1]}x{size[0]} at {rate:g} frames a second is nothing a camera can show"
            )
        self.height, self.width = even(*size)
        self.sent = self.repeated = self.replaced = 0
        self.warnings = self._warn(size)
        self._clock = clock or SystemClock()
        self._hold_seconds = hold_seconds
        self._request = CameraRequest(self.height, self.width, rate, device, backend, pixel_format)
        self._device: CameraDevice | None = open_camera(self._request)
        # The formats of a back-end do not change, and the card is encoded before it is needed.
        self._pixel_format = self._device.pixel_format
        self._described = self._device.describe()
        self._name = self._device.name
        self._changed = threading.Condition()
        self._is_closed = False
        self._failure: BaseException | None = None
        self._error: SinkError | None = None
        self._delays: deque[float] = deque(maxlen=DELAYS_KEPT)
        self._newest: Frame | None = None
        try:
            self._last = self._encode(np.zeros((self.height, self.width, 3), np.uint8))
            self._card = None if card is None else self._encode(card)
        except BaseException:
            self._device.close()
            raise
        self._pause = 0
        now = self._clock()
        self._pace = Pace(rate, now)
        self._opened_at = self._reopen_at = now
        # Long ago: until the first frame there is nothing to hold.
        self._new_at = now - hold_seconds
        self._thread = threading.Thread(target=self._run, name="humanseg-camera", daemon=True)
        self._thread.start()

    @property
    def state(self) -> SinkState:
        """Whether the device takes frames."""
        return SinkState.LOST if self._device is None else SinkState.OK

    @property
    def error(self) -> SinkError | None:
        """Why the device is lost, or was last; None when it never was."""
        return self._error

    @property
    def device(self) -> str:
        """The device's name: "/dev/video10", "OBS Virtual Camera"."""
        return self._name

    @property
    def delays(self) -> tuple[float, ...]:
        """Seconds from capture to the end of sending, of the newest frames, oldest first.

        New frames only, and only those that say when they were captured; a minute's at most.
        """
        with self._changed:
            return tuple(self._delays)

    def describe(self) -> str:
        """For people: "/dev/video10 1280x720 30 fps i420 (v4l2loopback)"."""
        return self._described

    def write(self, frame: Frame) -> None:
        """Put a frame in the place of the one not sent yet; never waits, never copies.

        Raises:
            SinkError: the thread that sends has ended by a mistake of ours.
        """
        if self._failure is not None:
            raise SinkError(
                f"stopped by a fault in humanseg: {self._failure!r}", subject=self._name
            ) from self._failure
        with self._changed:
            if self._newest is not None:
                self.replaced += 1
            self._newest = frame
            self._changed.notify()

    def set_card(self, card: Image | None, *, at_once: bool = False) -> None:
        """Change what is shown when no frames come.

        Args:
            card: (H, W, 3) uint8 BGR of any size; None to let the last frame stand.
            at_once: show it without waiting for `hold_seconds`, until the next frame comes.
        """
        encoded = None if card is None else self._encode(card)
        with self._changed:
            self._card = encoded
            if at_once:
                self._newest = None
                self._new_at = self._clock() - self._hold_seconds

    def close(self) -> None:
        """End the thread and give the device back; may be called twice."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(_CLOSE_SECONDS)

    def _warn(self, asked: tuple[int, int]) -> tuple[str, ...]:
        if asked == (self.height, self.width):
            return ()
        return (
            f"the virtual camera is {self.width}x{self.height} instead of "
            f"{asked[1]}x{asked[0]}: its sizes must be even",
        )

    def _encode(self, pixels: Image) -> NDArray[np.uint8]:
        return encode(fit(pixels, self.height, self.width), self._pixel_format)

    def _run(self) -> None:
        try:
            while not self._is_closed:
                if self._device is None:
                    self._reopen()
                else:
                    self._send_next(self._device)
        except BaseException as error:
            self._failure = error
        finally:
            device, self._device = self._device, None
            if device is not None:
                device.close()

    def _send_next(self, device: CameraDevice) -> None:
        """Wait for what is due first, a new frame or a repeat, and send it."""
        with self._changed:
            while True:
                if self._is_closed:
                    return
                now = self._clock()
                frame = self._newest
                due = self._pace.repeat_at if frame is None else self._pace.new_at
                if now >= due:
                    break
                self._clock.wait(self._changed, due - now)
            self._newest = None
        try:
            if frame is None:
                self._repeat(device)
            else:
                self._send_new(device, frame)
        except SinkError as error:
            self._lose(error)

    def _send_new(self, device: CameraDevice, frame: Frame) -> None:
        self._last = self._encode(frame.pixels)
        begun = self._clock()
        self._new_at = begun
        self._pace.sent_new(begun)
        device.send(self._last)
        self.sent += 1
        if frame.captured_at is not None:
            delay = self._clock() - frame.captured_at
            with self._changed:
                self._delays.append(delay)

    def _repeat(self, device: CameraDevice) -> None:
        now = self._clock()
        self._pace.repeated(now)
        with self._changed:
            is_held = now - self._new_at < self._hold_seconds or self._card is None
            picture = self._last if is_held or self._card is None else self._card
        device.send(picture)
        self.sent += 1
        self.repeated += 1

    def _lose(self, error: SinkError) -> None:
        assert self._device is not None
        self._error = error
        self._device.close()
        self._device = None
        if self._clock() - self._opened_at >= STEADY_SECONDS:
            self._pause = 0
        self._plan_reopening()

    def _plan_reopening(self) -> None:
        self._reopen_at = self._clock() + PAUSES[min(self._pause, len(PAUSES) - 1)]
        self._pause += 1

    def _reopen(self) -> None:
        """Wait for the pause to end and try once."""
        with self._changed:
            while not self._is_closed and (left := self._reopen_at - self._clock()) > 0:
                self._clock.wait(self._changed, left)
            if self._is_closed:
                return
        try:
            self._device = open_camera(replace(self._request, pixel_format=self._pixel_format))
        except HumansegError as error:
            self._error = error if isinstance(error, SinkError) else SinkError(str(error))
            self._plan_reopening()
            return
        self._described, self._name = self._device.describe(), self._device.name
        self._opened_at = self._clock()
        self._pace.resume(self._opened_at)
