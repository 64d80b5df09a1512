"""The devices of a live session: how they are opened, and changed while it runs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from humanseg.closing import Closing
from humanseg.errors import HumansegError, SettingsError
from humanseg.live.demand import AlwaysWanted, Demand, open_demand
from humanseg.live.outputs import Outputs
from humanseg.sinks.display import check_display
from humanseg.sinks.preview import PreviewSink
from humanseg.sinks.virtual_camera import VirtualCameraSink
from humanseg.sources.live import open_live
from humanseg.sources.playback import describe

if TYPE_CHECKING:
    from humanseg.frames import StreamInfo
    from humanseg.live.session import LiveSession
    from humanseg.live.settings import LiveSettings
    from humanseg.protocols import Sink, Source
    from humanseg.sinks.watched import WatchedSink

USUAL_RATE = 30.0
"""Frames a second of the virtual camera when neither user nor camera tell one."""


NO_DEVICE = "none"
"""What is said for no virtual camera."""


class CameraChoice(Closing):
    """Which camera is read.

    Attributes:
        warnings: what it gives instead of what was asked for, a sentence each.
    """

    def __init__(self, settings: LiveSettings) -> None:
        """Choose the camera of the settings; nothing is opened yet."""
        self.warnings: tuple[str, ...] = ()
        self._settings = settings
        self._camera = settings.camera
        self._opened: Source | None = None

    def open(self) -> Source:
        """Open the camera that is chosen now.

        Raises:
            HumansegError: it cannot be opened.
        """
        source, self._opened = self._opened, None
        if source is None:
            source = self._open(self._camera)
        self.warnings = tuple(getattr(source, "warnings", ()))
        return source

    def choose(self, camera: int | str) -> str:
        """Choose another camera, which is opened here and given at the next `open`.

        Returns:
            What was chosen.

        Raises:
            HumansegError: it cannot be opened; the choice stays as it was.
        """
        if camera == self._camera:  # no system opens one camera twice
            return f"camera {camera} is opened again"
        source = self._open(camera)
        self._camera = camera
        self.close()
        self._opened = source
        return f"the camera is {describe(source)}"

    def close(self) -> None:
        """Close a camera that was chosen and not taken."""
        source, self._opened = self._opened, None
        if source is not None:
            source.close()

    def _open(self, camera: int | str) -> Source:
        asked = self._settings
        return open_live(camera, size=asked.size, rate=asked.fps, pixel_format=asked.format)


class NeverWanted(Closing):
    """For sessions that are watched in a browser only, where the page itself says who looks."""

    def wanted(self) -> bool:
        """False."""
        return False


class VirtualCameraChoice:
    """Which virtual camera is fed, and whether any program reads it."""

    def __init__(self, settings: LiveSettings, info: StreamInfo) -> None:
        """Take what all virtual cameras have in common.

        Args:
            settings: of the session.
            info: of the camera, whose size and rate are taken where the settings say none.
        """
        self._size = settings.size or (info.height, info.width)
        self._rate = settings.fps or (float(info.rate) if info.rate else USUAL_RATE)
        self._pixel_format = settings.virtual_format
        self._is_always_on = settings.always_on

    def open(self, stack: contextlib.ExitStack, device: str | None) -> VirtualCameraSink:
        """Open a virtual camera, to be closed with the stack.

        Raises:
            HumansegError: it cannot be opened.
        """
        camera = VirtualCameraSink(
            size=self._size, rate=self._rate, device=device, pixel_format=self._pixel_format
        )
        return stack.enter_context(camera)

    def demand(
        self,
        stack: contextlib.ExitStack,
        camera: VirtualCameraSink | None,
        *,
        has_page: bool = False,
    ) -> Demand:
        """Whether a program reads the virtual camera, to be closed with the stack.

        Args:
            stack: closes it.
            camera: that is fed; None for none.
            has_page: somebody may watch in a browser.
        """
        if self._is_always_on or (camera is None and not has_page):
            return AlwaysWanted()
        if camera is None:
            return NeverWanted()
        return stack.enter_context(open_demand(camera.device))

    def change(self, stack: contextlib.ExitStack, session: LiveSession, device: str) -> str:
        """Have a session feed another device; NO_DEVICE for none.

        Returns:
            What is fed now.

        Raises:
            HumansegError: it cannot be opened; the one before is still fed.
        """
        camera = None if device == NO_DEVICE else self.open(stack, device)
        demand = self.demand(stack, camera, has_page=session.has_page)
        before, demand = session.change_virtual_camera(camera, demand)
        demand.close()
        if before is not None:
            before.close()
        if camera is None:
            return "no virtual camera is fed"
        return f"the virtual camera is {camera.describe()}"


def open_outputs(
    stack: contextlib.ExitStack,
    settings: LiveSettings,
    choice: VirtualCameraChoice,
    *,
    has_virtual_camera: bool,
    recorder: Sink | None = None,
    page: WatchedSink | None = None,
) -> Outputs:
    """Open what can be opened of virtual camera and preview, to be closed with the stack.

    Raises:
        HumansegError: nobody would see the picture.
    """
    others = [sink for sink in (recorder, page) if sink is not None]
    if not (has_virtual_camera or settings.preview or others):
        raise SettingsError(
            "nobody would see the picture",
            hint="add --preview or --record FILE, or leave out --no-virtual-camera",
        )
    camera: VirtualCameraSink | None = None
    preview: PreviewSink | None = None
    missing: list[HumansegError] = []
    if has_virtual_camera:
        try:
            camera = choice.open(stack, settings.virtual_camera)
        except HumansegError as error:
            missing.append(error)
    if settings.preview:
        try:
            check_display()
        except HumansegError as error:
            missing.append(error)
        else:
            preview = stack.enter_context(PreviewSink("humanseg live"))
    if camera is None and preview is None and not others:
        raise missing[0]
    problems = tuple(str(error) for error in missing)
    return Outputs(camera=camera, preview=preview, recorder=recorder, page=page, problems=problems)
