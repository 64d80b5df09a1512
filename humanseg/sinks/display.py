"""Whether a window can be opened here; the toolkits end the whole process when it cannot."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

import cv2

from humanseg.errors import SinkError

_HINT = "go on without --preview, or run it in a desktop session"


def check_display() -> None:
    """Refuse before the first window does it by ending the process, as Qt does.

    Raises:
        SinkError: OpenCV has no windows, or there is no screen.
    """
    with reached_display():
        pass


@contextlib.contextmanager
def reached_display() -> Iterator[None]:
    """Hold on to the screen while the first window opens.

    On Linux this connects to the X server once, by the library and the rules that Qt follows. The
    connection is held, since a server that has no other clients starts anew when the last one
    leaves, and refuses everybody meanwhile.

    Raises:
        SinkError: OpenCV has no windows, or there is no screen.
    """
    toolkit = cv2.currentUIFramework()
    if not toolkit:
        raise SinkError(
            "there can be no preview: this OpenCV has no windows",
            hint="pip uninstall opencv-python-headless; "
            "pip install --force-reinstall opencv-python",
        )
    if sys.platform != "linux":
        yield
    elif toolkit.startswith("QT"):
        with _reached_x11():
            # The wheel's Qt knows X11 only; a desktop that asks for Wayland would end the process.
            os.environ["QT_QPA_PLATFORM"] = "xcb"
            yield
    elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        # GTK refuses with an error that is caught; it can use Wayland by itself.
        yield
    else:
        raise SinkError("there can be no preview: there is no screen here", hint=_HINT)


@contextlib.contextmanager
def _reached_x11() -> Iterator[None]:
    name = os.environ.get("DISPLAY")
    if not name:
        if os.environ.get("WAYLAND_DISPLAY"):
            raise SinkError(
                "there can be no preview: OpenCV draws on X11 and this is Wayland alone",
                hint="switch Xwayland on, or go on without --preview",
            )
        raise SinkError("there can be no preview: there is no screen here", hint=_HINT)
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError as error:
        raise SinkError(
            "there can be no preview: the library libxcb is missing",
            hint="install it (package libxcb1), or go on without --preview",
        ) from error
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    try:
        if xcb.xcb_connection_has_error(connection):
            raise SinkError(
                "there can be no preview: the screen cannot be reached",
                subject=f"DISPLAY={name}",
                hint=_HINT,
            )
        yield
    finally:
        xcb.xcb_disconnect(connection)
