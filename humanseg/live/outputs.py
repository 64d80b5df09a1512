"""Where the frames of a live session go: the virtual camera, a window, a file."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from humanseg.errors import SinkError
from humanseg.protocols import Sink
from humanseg.sinks.cards import camera_lost_card, idle_card
from humanseg.sinks.preview import PreviewSink
from humanseg.sinks.virtual_camera import SinkState, VirtualCameraSink
from humanseg.sources.reopened import SourceState

if TYPE_CHECKING:
    from humanseg.frames import Frame
    from humanseg.sinks.watched import WatchedSink


class Outputs:
    """Takes finished frames; an output that fails is left out, and the others go on.

    None of them is closed here.

    Attributes:
        camera: virtual camera; None without one.
        preview: window, shown by the thread that runs the session; None without one.
        recorder: any other sink, as a file; None without one.
        page: for those who watch in a browser; None without one.
        problems: what is missing, a sentence each.
    """

    def __init__(
        self,
        *,
        camera: VirtualCameraSink | None = None,
        preview: PreviewSink | None = None,
        recorder: Sink | None = None,
        page: WatchedSink | None = None,
        problems: tuple[str, ...] = (),
    ) -> None:
        """Join the outputs.

        Args:
            camera: virtual camera.
            preview: window.
            recorder: any other sink.
            page: for those who watch in a browser.
            problems: why others could not be opened.
        """
        self.camera, self.preview, self.recorder = camera, preview, recorder
        self.page = page
        self.problems = list(problems)
        self._lock = threading.Lock()
        self._card: tuple[bool, int, int] | None = None

    @property
    def is_watched(self) -> bool:
        """Whether somebody may look at anything but the virtual camera."""
        if self.page is not None and self.page.is_watched:
            return True
        return self.preview is not None or self.recorder is not None

    def write(self, frame: Frame) -> None:
        """Hand a finished frame to all; a full disk must not end a call."""
        camera, preview, recorder = self.camera, self.preview, self.recorder
        if camera is not None:
            camera.write(frame)
        if preview is not None:
            preview.write(frame)
        if self.page is not None:
            self.page.write(frame)
        if recorder is not None:
            try:
                recorder.write(frame)
            except SinkError as error:
                self.recorder = None
                self.problems.append(f"the recording ended: {error}")

    def show_preview(self, hint: str | None) -> int | None:
        """Draw the newest frame in the window; belongs to the main thread.

        Args:
            hint: line below the picture.

        Returns:
            The key pressed in it; None for none.

        Raises:
            SinkError: there can be no window, and there is no other output.
        """
        if self.preview is None:
            return None
        self.preview.hint = hint
        try:
            return self.preview.show()
        except SinkError as error:
            self.preview = None
            if self.camera is None and self.recorder is None and self.page is None:
                raise
            self.problems.append(str(error))
            return None

    def show_card(self, state: SourceState, height: int, width: int) -> None:
        """Have the virtual camera tell what is wrong when no frames come.

        Args:
            state: of the camera.
            height: of the card.
            width: of the card.
        """
        with self._lock:
            card = (state is SourceState.IDLE, height, width)
            if self.camera is None or card == self._card:
                return
            self._card = card
            draw = idle_card if card[0] else camera_lost_card
            self.camera.set_card(draw(height, width))

    def change_camera(self, camera: VirtualCameraSink | None) -> VirtualCameraSink | None:
        """Feed another virtual camera, or none, from the next frame on.

        Returns:
            The one before, to be closed; None if there was none.
        """
        with self._lock:
            before, self.camera, self._card = self.camera, camera, None
            return before

    def warnings(self) -> tuple[str, ...]:
        """What is wrong now, a sentence each."""
        told = list(self.problems)
        camera = self.camera
        if camera is not None:
            told.extend(camera.warnings)
            if camera.state is SinkState.LOST and camera.error is not None:
                told.append(str(camera.error))
        return tuple(told)
