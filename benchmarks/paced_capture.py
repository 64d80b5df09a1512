"""A webcam's double for the live benchmarks: a clip that gives a frame when it is due, not before.

Needs NumPy and OpenCV only: it also runs in the environment of those we compare with.
"""

import time

import cv2

BUFFERS = 4
"""Frames a driver keeps for a reader that is late; older ones are lost, as with V4L2."""


class PacedCapture:
    """Behaves as `cv2.VideoCapture` does with a webcam of a steady rate.

    Attributes:
        due: `time.monotonic()` at which the camera had the last frame that `read` gave.
        lost: frames that nobody read in time.
    """

    def __init__(self, path, rate=30.0, *, in_memory=False):
        self._path, self._period, self._in_memory = path, 1 / rate, in_memory
        self._kept = list(self._decoded()) if in_memory else None
        self._capture = None if in_memory else cv2.VideoCapture(str(path))
        self._zero = None
        self._next = 0
        self.due = 0.0
        self.lost = 0

    def read(self):
        now = time.monotonic()
        if self._zero is None:
            self._zero = now
        oldest = int((now - self._zero) / self._period) - BUFFERS + 1
        if oldest > self._next:
            self.lost += oldest - self._next
            self._next = oldest
        self.due = self._zero + self._next * self._period
        if self.due > now:
            time.sleep(self.due - now)
        pixels = self._picture(self._next)
        self._next += 1
        return pixels is not None, pixels

    def release(self):
        if self._capture is not None:
            self._capture.release()

    def _picture(self, index):
        if self._kept is not None:
            return self._kept[index % len(self._kept)].copy()
        is_read, pixels = self._capture.read()
        if not is_read:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            is_read, pixels = self._capture.read()
        return pixels if is_read else None

    def _decoded(self):
        capture = cv2.VideoCapture(str(self._path))
        while True:
            is_read, pixels = capture.read()
            if not is_read:
                capture.release()
                return
            yield pixels
