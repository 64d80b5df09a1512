"""What OpenCV writes to the terminal by itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_LOCK = threading.Lock()
_users = 0
_level_before = 0


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep the terminal free of OpenCV's own lines; what they tell is told by our errors.

    Any number of threads may be inside at once. With OPENCV_LOG_LEVEL in the environment
    somebody wants to read them, so they stay.
    """
    if "OPENCV_LOG_LEVEL" in os.environ:
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _users, _level_before
    with _LOCK:
        _users += 1
        if _users == 1:
            _level_before = cv2.utils.logging.getLogLevel()
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _leave() -> None:
    global _users
    with _LOCK:
        _users -= 1
        if _users == 0:
            cv2.utils.logging.setLogLevel(_level_before)
