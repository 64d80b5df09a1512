"""The newest frame of a live source; whoever is slow misses frames, and never sees old ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from humanseg.closing import Closing
from humanseg.frames import Frame
from humanseg.protocols import Source

READER_PATIENCE = 2.0
"""Seconds to wait for the reading thread at the end; a driver may hang inside a read for ever."""


class NewestFrame(Closing):
    """Reads a source on a thread of its own, humanseg-read, and keeps its newest frame.

    The thread is a daemon: one that hangs in a driver keeps nobody from leaving.

    Attributes:
        received: frames the source gave.
        dropped: frames that a newer one replaced before they were taken.
    """

    def __init__(self, source: Source, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start to read.

        Args:
            source: closed by `close`; its own `close` must work from any thread.
            clock: gives seconds; for tests.
        """
        self.received = 0
        self.dropped = 0
        self._source = source
        self._clock = clock
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._is_closed = False
        self._is_over = False
        self._last_at = clock()
        self._thread = threading.Thread(target=self._read, name="humanseg-read", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether nothing more comes: no frame, and no error that was not raised yet."""
        with self._changed:
            return self._is_over and self._frame is None and self._error is None

    def age(self) -> float:
        """Seconds since the source gave its last frame, or since the start: the watchdog.

        It grows also while the source hangs inside a read and can raise nothing.
        """
        with self._changed:
            return max(0.0, self._clock() - self._last_at)

    def take(self, timeout: float | None = None) -> Frame | None:
        """The newest frame that was not taken yet; waits for one.

        Args:
            timeout: seconds to wait at most; None waits until there is one.

        Returns:
            The frame; None after the time-out, and at the end (see `ended`).

        Raises:
            Exception: what the source raised, once its last frame was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._is_over, timeout)
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None:
                error, self._error = self._error, None
                raise error
            return frame

    def close(self) -> None:
        """Close the source and end the thread; one that hangs is left after 2 seconds."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._source.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(READER_PATIENCE)
        with self._changed:
            self._is_over = True
            self._frame = self._error = None
            self._changed.notify_all()

    def _read(self) -> None:
        try:
            for frame in self._source:
                frame.pixels.flags.writeable = False
                if not self._keep(frame):
                    break
        except BaseException as error:
            with self._changed:
                if not self._is_closed:
                    self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _keep(self, frame: Frame) -> bool:
        """Put the frame in place of the one that waits; False once nobody takes frames."""
        with self._changed:
            if self._is_closed:
                return False
            self.dropped += self._frame is not None
            self.received += 1
            self._frame = frame
            self._last_at = self._clock()
            self._changed.notify_all()
            return True
