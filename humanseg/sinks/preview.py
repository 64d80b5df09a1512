"""A window with the newest frame."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.closing import Closing
from humanseg.errors import SinkError
from humanseg.pixels import resize, within
from humanseg.sinks.display import reached_display

if TYPE_CHECKING:
    from humanseg.frames import Frame, Image

LARGEST = (720, 1280)
"""(height, width) that fits on nearly every screen."""

CLOSED_KEY = ord("q")
"""What closing the window is told as."""

_BAR = 26
_BAR_COLOUR = (34, 30, 27)
_TEXT_COLOUR = (215, 215, 215)


class PreviewSink(Closing):
    """Shows frames in a window; the thread that may draw is the main one.

    `write` may be called from any thread and only swaps the newest frame in. Everything else
    belongs to the main thread, since macOS and Qt draw nowhere else. The window opens with the
    first frame.

    Attributes:
        hint: a line shown below the picture, as for keys; None for none. May be changed.
        replaced: frames that were never shown, since a newer one came before their turn.
    """

    def __init__(
        self,
        title: str = "humanseg",
        *,
        hint: str | None = None,
        largest: tuple[int, int] = LARGEST,
    ) -> None:
        """Set the looks; nothing opens yet.

        Args:
            title: of the window.
            hint: a line shown below the picture; None for none.
            largest: (height, width) that larger frames are scaled down to, in their own shape.
        """
        self.hint = hint
        self.replaced = 0
        self._title = title
        self._largest = largest
        self._lock = threading.Lock()
        self._newest: Frame | None = None
        self._bar: tuple[str, Image] | None = None
        self._is_open = False
        self._is_over = False

    def write(self, frame: Frame) -> None:
        """Put a frame in the place of the one not shown yet; never waits, never copies."""
        with self._lock:
            if self._newest is not None:
                self.replaced += 1
            self._newest = frame

    def show(self) -> int | None:
        """Draw the newest frame if there is one, and look for a key; call it often.

        Returns:
            The key pressed since, as the code of its character; CLOSED_KEY, once, when the user
            has closed the window; None for none, and for keys without a character.

        Raises:
            SinkError: there is no screen to draw on, or the window fails.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("only the main thread may show the preview")
        with self._lock:
            frame, self._newest = self._newest, None
        if self._is_over or (frame is None and not self._is_open):
            return None
        try:
            if self._is_open and self._was_closed():
                self.close()
                return CLOSED_KEY
            if frame is not None:
                self._draw(frame)
            return _character(cv2.pollKey())
        except cv2.error as error:
            self._is_over = True
            raise SinkError(
                f"cannot show the preview: {error.err or error}",
                hint="go on without --preview",
            ) from error

    def close(self) -> None:
        """Close the window; may be called twice."""
        self._is_over = True
        if not self._is_open:
            return
        self._is_open = False
        try:
            cv2.destroyWindow(self._title)
            cv2.pollKey()  # the window goes only when its events are looked at
        except cv2.error:
            pass  # the user has closed it, or the screen is gone

    def _draw(self, frame: Frame) -> None:
        if not self._is_open:
            self._open()
        size = within(frame.height, frame.width, self._largest)
        shown = frame.pixels[..., :3]
        if size < (frame.height, frame.width):
            shown = resize(np.ascontiguousarray(shown), *size)
        if self.hint:
            shown = np.vstack([shown, self._hint_bar(self.hint, shown.shape[1])])
        cv2.imshow(self._title, shown)

    def _open(self) -> None:
        try:
            with reached_display():
                # GUI_NORMAL: without Qt's own tool bar and status line.
                cv2.namedWindow(self._title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
        except SinkError:
            self._is_over = True
            raise
        self._is_open = True

    def _was_closed(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:
            return True  # Qt forgets everything with its last window

    def _hint_bar(self, hint: str, width: int) -> Image:
        """The hint on a bar of the picture's width; drawn once."""
        if self._bar is None or self._bar[0] != hint or self._bar[1].shape[1] != width:
            bar = np.full((_BAR, width, 3), _BAR_COLOUR, np.uint8)
            text = hint.encode("ascii", "replace").decode("ascii")
            face, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45
            (wide, _), _ = cv2.getTextSize(text, face, scale, 1)
            scale *= min(1.0, (width - 16) / max(1, wide))
            cv2.putText(bar, text, (8, _BAR - 9), face, scale, _TEXT_COLOUR, 1, cv2.LINE_AA)
            self._bar = (hint, bar)
        return self._bar[1]


def _character(code: int) -> int | None:
    """The character of a key; None for no key, arrows, Shift and their like."""
    # GTK puts Num Lock and its like into the upper half.
    code &= 0xFFFF
    return code if 0 < code < 0x80 else None
