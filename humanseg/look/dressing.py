"""A frame and its alpha -> the frame that others see, as the look of this moment says."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.backgrounds import Color, Picture, open_background
from humanseg.closing import Closing
from humanseg.composite import Compositor
from humanseg.control.controls import Controls
from humanseg.errors import HumansegError
from humanseg.frames import Frame
from humanseg.look.file_cache import FileCache
from humanseg.look.framing import FULL, AutoFramer, crop_to
from humanseg.look.looks import BLUR, Look, is_path
from humanseg.look.overlays import Overlay, open_overlay
from humanseg.look.people import PeopleKeeper, shape_mask, shift_threshold
from humanseg.pixels import Array
from humanseg.protocols import Background

if TYPE_CHECKING:
    from humanseg.blending import BlendOptions
    from humanseg.frames import Alpha, Image, Mask

LONGEST_STEP = Fraction(1, 4)
"""Seconds that a gap between frames counts at most for a background that moves."""


class SteadyBackground(Closing):
    """A background whose time passes while it is shown only, and that goes on if its file fails.

    Attributes:
        warning: why it stands still; None while it does not.
    """

    def __init__(self, background: Background) -> None:
        """Take over a background; it is closed with this."""
        self._background = background
        self._elapsed = Fraction(0)
        self._last_time: Fraction | None = None
        self._last: Image | None = None
        self.warning: str | None = None

    def for_frame(self, frame: Frame, alpha: Alpha) -> Image:
        """(H, W, 3) BGR of the frame's size."""
        if self._last_time is not None:
            # After a pause a clip goes on where it was, instead of decoding what nobody saw.
            self._elapsed += min(LONGEST_STEP, max(Fraction(0), frame.time - self._last_time))
        self._last_time = frame.time
        shown = dataclasses.replace(frame, time=self._elapsed)
        try:
            self._last = self._background.for_frame(shown, alpha)
        except HumansegError as error:
            self.warning = str(error)
            self._background.close()
            self._background = Color((0, 0, 0)) if self._last is None else Picture(self._last)
            self._last = self._background.for_frame(shown, alpha)
        return self._last

    def close(self) -> None:
        """Close the background."""
        self._background.close()


class Dresser(Closing):
    """Makes the frames that others see; backgrounds and overlays are opened once and kept.

    `choose_people`, `dress` and `needs_mask` belong to one thread each. While a file is opened,
    reloaded or broken, what was shown before stays; no frame waits for a disk.
    """

    def __init__(self, controls: Controls, *, interval: float = 1.0) -> None:
        """Open what the look needs.

        Args:
            controls: hold the look; from now on they open a background before they take it.
            interval: seconds between two looks whether a file has changed.

        Raises:
            HumansegError: the background or the overlay cannot be opened.
        """
        self._controls = controls
        self._scenes = FileCache(_open_scene, interval=interval)
        self._overlays: FileCache[Overlay] = FileCache(open_overlay, interval=interval)
        self._plain: tuple[tuple[str, float], Background] | None = None
        self._scene: Background | None = None
        self._overlay: Overlay | None = None
        self._keeper = PeopleKeeper()
        self._framer = AutoFramer()
        self._crop = FULL
        self._shown: Frame | None = None
        try:
            self._open(controls.look)
        except HumansegError:
            self.close()
            raise
        controls.on_change = self._open

    def _open(self, look: Look) -> None:
        if is_path(look.background):
            self._scenes.prepare(look.background)
        if look.overlay is not None:
            self._overlays.prepare(look.overlay)

    def needs_mask(self) -> bool:
        """Whether the next frame is dressed by its mask; False saves the networks' work."""
        look = self._controls.look
        stands = look.frozen and self._shown is not None
        return not stands and (_shows_people(look) or look.auto_frame)

    def choose_people(self, mask: Mask) -> Mask:
        """Apply the look's `keep` and `threshold` to a mask, before it is refined.

        Args:
            mask: (h, w) float32, 0..1, at the network's size; smoothed over time already.

        Returns:
            (h, w) float32, 0..1; the mask itself where the look changes nothing.
        """
        look = self._controls.look
        return shift_threshold(self._keeper.keep(mask, look.keep), look.threshold)

    def dress(self, frame: Frame, alpha: Alpha | None, blend: BlendOptions | None = None) -> Frame:
        """Make the frame that others see.

        People are mirrored, and what is behind and on top of them is not, so that writing in a
        background stays readable. The overlay is not laid on the mask view.

        Args:
            frame: (H, W, 3) BGR; left unchanged.
            alpha: (H, W) float32, 0..1; None when `needs_mask` said False.
            blend: how people are laid over another background; None mixes stored values.

        Returns:
            A frame of the same time and size; the frame itself where nothing changes it.
        """
        look = self._controls.look
        if self._shown is not None and (look.frozen or (alpha is None and _shows_people(look))):
            # Without a mask the room would be seen: better the last picture once more.
            return dataclasses.replace(frame, pixels=self._shown.pixels)
        if alpha is None and _shows_people(look):
            alpha = np.zeros(frame.pixels.shape[:2], np.float32)
        self._shown = self._dress(look, frame, alpha, blend)
        return self._shown

    def _dress(
        self, look: Look, frame: Frame, alpha: Alpha | None, blend: BlendOptions | None
    ) -> Frame:
        if alpha is not None:
            alpha = shape_mask(alpha, feather=look.feather, grow=look.grow)
        pixels, alpha = self._place(look, frame, alpha)
        if alpha is not None and _shows_people(look):
            # What nobody writes to is made small once for blur and edges; see `pixels.resize`.
            pixels, alpha = _read_only(pixels), _read_only(alpha)
            output = "mask" if look.view == "mask" else "composite"
            placed = dataclasses.replace(frame, pixels=pixels)
            compositor = Compositor(self._background(look), output, blend)
            pixels = compositor.compose(placed, alpha).pixels
        if look.overlay is not None and look.view != "mask":
            overlay = self._overlays.get(look.overlay) or self._overlay
            if overlay is not None:
                self._overlay = overlay
                pixels = pixels.copy() if pixels is frame.pixels else pixels
                overlay.draw(pixels)
        return frame if pixels is frame.pixels else dataclasses.replace(frame, pixels=pixels)

    def _place(self, look: Look, frame: Frame, alpha: Alpha | None) -> tuple[Image, Alpha | None]:
        """Crop to the people and mirror, frame and alpha alike."""
        seconds = float(frame.time)
        if not look.auto_frame:
            self._crop = self._framer.release(seconds)
        elif alpha is not None:
            self._crop = self._framer.follow(alpha, seconds)
        pixels = crop_to(frame.pixels, self._crop)
        alpha = None if alpha is None else crop_to(alpha, self._crop)
        if look.mirror:
            pixels = np.asarray(cv2.flip(pixels, 1), np.uint8)
            alpha = None if alpha is None else np.asarray(cv2.flip(alpha, 1), np.float32)
        return pixels, alpha

    def _background(self, look: Look) -> Background:
        if is_path(look.background):
            scene = self._scenes.get(look.background) or self._scene or self._flat(Look())
        else:
            scene = self._flat(look)
        self._scene = scene
        return scene

    def _flat(self, look: Look) -> Background:
        """A blur or a colour, which need no file."""
        key = (look.background, look.strength)
        if self._plain is None or self._plain[0] != key:
            is_blur = look.background == BLUR
            text = f"{BLUR}:{look.strength}" if is_blur else look.background
            self._plain = (key, open_background(text))
        return self._plain[1]

    def warnings(self) -> tuple[str, ...]:
        """What is wrong now with the files that are shown."""
        look, scene = self._controls.look, self._scene
        found = [self._overlays.warning] if look.overlay is not None else []
        if is_path(look.background):
            found.append(self._scenes.warning)
            found.append(scene.warning if isinstance(scene, SteadyBackground) else None)
        return tuple(filter(None, found))

    def close(self) -> None:
        """Close backgrounds and overlays."""
        self._scenes.close()
        self._overlays.close()


def _open_scene(path: str) -> SteadyBackground:
    return SteadyBackground(open_background(path))


def _read_only(array: Array) -> Array:
    if not array.flags.writeable:
        return array
    seen = array.view()
    seen.flags.writeable = False
    return seen


def _shows_people(look: Look) -> bool:
    """Whether the picture is made by a mask."""
    return look.effect_on or look.view == "mask"
