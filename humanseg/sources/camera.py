"""Frames of a camera on this machine."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from humanseg import devices
from humanseg.closing import Closing
from humanseg.errors import SourceError, SourceLost
from humanseg.frames import Frame, StreamInfo
from humanseg.lease import GivenBack, Lease
from humanseg.media.opencv_log import quiet_opencv
from humanseg.sources import camera_faults
from humanseg.sources.camera_format import CameraFormat, letters_of
from humanseg.sources.camera_pictures import MICROSECOND, Freshness, Picture, Stamps

# Reads in a row that may fail before the camera is given up, and the pause between them.
_FAILED_IN_A_ROW = 5
_PAUSE = 0.02
# Some cameras need a while for their first picture; a read that hangs is not tried again.
_FIRST_READS, _FIRST_PAUSE, _FIRST_SECONDS = 10, 0.1, 4.0
_BACKENDS = {
    "linux": cv2.CAP_V4L2,
    "darwin": cv2.CAP_AVFOUNDATION,
    "win32": cv2.CAP_MSMF,
}
_ENVIRONMENT = {
    # OpenCV would hang for 10 s in the read of a camera that stopped.
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "5",
    # Media Foundation would search for hardware converters for many seconds.
    "OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS": "0",
}


class CameraSource(Closing):
    """Frames of a camera: V4L2 on Linux, AVFoundation on macOS, Media Foundation on Windows.

    One thread reads; any thread may close.

    Attributes:
        warnings: what the camera gives instead of what was asked, a sentence each.
    """

    def __init__(
        self,
        camera: int | str,
        *,
        size: tuple[int, int] | None = None,
        rate: float | None = None,
        pixel_format: str = "auto",
        stall_seconds: float = 2.0,
        open_capture: Callable[..., Any] | None = None,
        check_device: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open the camera, agree on a format with it and read its first picture.

        Args:
            camera: index, path, or a name as `humanseg devices` shows it, or a part of that.
            size: (height, width) to ask for; None for the camera's own choice.
            rate: frames a second to ask for; None for the camera's own choice.
            pixel_format: "mjpg", "yuyv", or "auto": JPEG above 640x480 at 30 a second.
            stall_seconds: without a new picture after which the camera counts as lost.
            open_capture: what stands in for `cv2.VideoCapture`; it gets (camera, back-end).
            check_device: looks at a Linux device before it is opened, and raises SourceError; None
                for the real look, if `open_capture` is the real one.
            clock: gives seconds; for tests.
            sleep: waits seconds; for tests.

        Raises:
            SourceError: missing, busy, not permitted, or it gives no picture.
            SettingsError: there is no such pixel format.
        """
        asked = CameraFormat(size, rate, pixel_format)
        self._stall_seconds = stall_seconds
        self._clock, self._sleep = clock, sleep
        self._device = _device_of(camera)
        if check_device is None and open_capture is None and sys.platform == "linux":
            check_device = camera_faults.check_device
        if check_device is not None:
            check_device(str(self._device))
        with contextlib.ExitStack() as held:
            held.enter_context(quiet_opencv())
            capture = _open(self._device, open_capture or cv2.VideoCapture)
            held.callback(capture.release)
            self._lease = Lease(capture, lambda _: self._held.close())
            asked.ask(capture)
            self._first: Picture | None = self._first_picture()
            self._letters = letters_of(capture)
            self._info = self._learn(capture, self._first)
            self._held = held.pop_all()
        self.warnings = tuple(asked.differences(self._info, self._letters))

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream, as the camera really gives it."""
        return self._info

    def describe(self) -> str:
        """The camera and what it gives: "/dev/video0 1280x720 30 fps MJPG"."""
        rate = f" {float(self._info.rate):g} fps" if self._info.rate else ""
        letters = f" {self._letters}" if self._letters else ""
        return f"{self._device} {self._info.width}x{self._info.height}{rate}{letters}"

    def __iter__(self) -> Iterator[Frame]:
        """New pictures, as they come; a picture that the driver gives again is left out.

        Raises:
            SourceLost: reads fail, or no new picture comes for `stall_seconds`.
        """
        stamps, freshness = Stamps(), Freshness()
        index = failed = 0
        picture, self._first = self._first, None
        alive_at = self._clock()
        while not self._lease.is_closed:
            picture = picture or self._read()
            if picture is not None and freshness.is_new(picture):
                captured_at = stamps.captured_at(picture)
                yield Frame(picture.pixels, index, stamps.time, captured_at=captured_at)
                index, failed, alive_at = index + 1, 0, self._clock()
            else:
                failed = failed + 1 if picture is None else 0
                self._check_alive(failed, alive_at)
                self._sleep(_PAUSE)  # such reads may return at once: never spin
            picture = None

    def close(self) -> None:
        """Give the camera back; now, or when a read that hangs in the driver returns."""
        self._lease.close()

    def _learn(self, capture: Any, first: Picture) -> StreamInfo:
        """What the camera made of what was asked; its first picture does not lie about the size."""
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        height, width = first.pixels.shape[:2]
        return StreamInfo(
            width=width,
            height=height,
            rate=Fraction(rate).limit_denominator(1001) if rate > 0 else None,
            frame_count=None,
            time_base=Fraction(1, MICROSECOND),
            duration=None,
            origin=str(self._device),
        )

    def _first_picture(self) -> Picture:
        """The first picture, which some cameras give only after a few failed reads.

        Raises:
            SourceError: none comes.
        """
        began = self._clock()
        for _ in range(_FIRST_READS):
            picture = self._read()
            if picture is not None:
                return picture
            if self._clock() - began > _FIRST_SECONDS:
                break
            self._sleep(_FIRST_PAUSE)
        raise SourceError(
            "opens but gives no picture",
            subject=self._device,
            hint="close other programs that use it, unplug it and plug it in again",
        )

    def _read(self) -> Picture | None:
        """The next picture; None when the read failed, or the camera was closed meanwhile."""
        try:
            with self._lease.use() as capture:
                is_read, pixels = capture.read()
                driver_time = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000 if is_read else 0.0
        except (cv2.error, GivenBack):
            return None
        if not is_read or pixels is None or pixels.ndim != 3 or pixels.shape[2] != 3:
            return None
        return None if self._lease.is_closed else Picture(pixels, self._clock(), driver_time)

    def _check_alive(self, failed: int, alive_at: float) -> None:
        """Give up when reads fail again and again or nothing new comes.

        Raises:
            SourceLost: with what is known of the cause.
        """
        silence = self._clock() - alive_at
        if self._lease.is_closed or (failed < _FAILED_IN_A_ROW and silence < self._stall_seconds):
            return
        if isinstance(self._device, str) and not Path(self._device).exists():
            what, hint = "was unplugged", "plug the camera in again"
        elif failed:
            what, hint = "gives no more pictures", "was it unplugged, or taken by another program?"
        else:
            what = f"has given no new picture for {silence:.1f} s"
            hint = "if it does not come back by itself, unplug it and plug it in again"
        raise SourceLost(what, subject=self._device, hint=hint)


def _device_of(camera: int | str) -> int | str:
    """A path on Linux, an index elsewhere.

    Raises:
        SourceError: there is no camera of that name.
    """
    if isinstance(camera, str):
        if not camera.strip().isdecimal():
            if "/" in camera:
                return camera
            found = devices.find_camera(camera, devices.cameras())
            return found.path or found.index
        camera = int(camera)
    return f"/dev/video{camera}" if sys.platform == "linux" else camera


def _open(device: int | str, open_capture: Callable[..., Any]) -> Any:
    """An open capture.

    Raises:
        SourceError: OpenCV refuses the device.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        capture = open_capture(device, _BACKENDS.get(sys.platform, cv2.CAP_ANY))
    except cv2.error as error:
        raise camera_faults.not_opened(device) from error
    if not capture.isOpened():
        capture.release()
        raise camera_faults.not_opened(device)
    return capture
