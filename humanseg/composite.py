"""Frame and alpha -> the frame people see."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.blending import BlendOptions, blend, grey, light_wrap
from humanseg.errors import SettingsError
from humanseg.foreground import estimate_foreground, near_colours, shrink_both
from humanseg.frames import Frame
from humanseg.media.planar import PlanarFrame
from humanseg.pixels import resize
from humanseg.planar_composite import PlanarCompositor
from humanseg.protocols import Background

__all__ = ["OUTPUTS", "Compositor", "blend", "grey"]

if TYPE_CHECKING:
    from humanseg.frames import Alpha, Image

OUTPUTS = ("composite", "mask", "alpha", "foreground")
PLANAR_OUTPUTS = ("composite", "mask")
"""Those that are made of planes without turning them into BGR."""


class Compositor:
    """Makes the output frames of one kind.

    "composite": people before the background. "mask": the alpha in grey. "alpha": people with a
    transparent background, BGRA, straight alpha unless asked otherwise. "foreground": people
    before black (premultiplied).
    """

    def __init__(
        self,
        background: Background,
        output: str = "composite",
        options: BlendOptions | None = None,
        *,
        premultiplied: bool = False,
    ) -> None:
        """Choose background and output.

        Args:
            background: is used by "composite" only, and not closed.
            output: one of OUTPUTS.
            options: how "composite" blends; None mixes stored values as they are.
            premultiplied: multiply the colours of "alpha" by it.

        Raises:
            SettingsError: no such output.
        """
        if output not in OUTPUTS:
            raise SettingsError(
                f"there is no output '{output}'", hint=f"one of {', '.join(OUTPUTS)}"
            )
        self._background = background
        self._output = output
        self._options = options or BlendOptions()
        self._premultiplied = premultiplied
        self._planar = PlanarCompositor(background, self._options)

    def compose(self, frame: Frame, alpha: Alpha) -> Frame:
        """Make the output frame.

        Args:
            frame: (H, W, 3) BGR; left unchanged.
            alpha: (H, W) float32, 0..1; for a planar frame it may be smaller.

        Returns:
            A new frame of the same time and size: BGR, or BGRA for "alpha"; a planar one for
            "composite" and "mask" of a planar frame.
        """
        if isinstance(frame, PlanarFrame):
            if self._output == "mask":
                return self._planar.mask(frame, alpha)
            if self._output == "composite":
                return self._planar.compose(frame, alpha)
            whole = resize(alpha, frame.height, frame.width)
            bgr = Frame(frame.pixels, frame.index, frame.time, frame.duration)
            return dataclasses.replace(bgr, pixels=self._compose(bgr, whole))
        return dataclasses.replace(frame, pixels=self._compose(frame, alpha))

    def _compose(self, frame: Frame, alpha: Alpha) -> Image:
        if self._output == "mask":
            return np.asarray(cv2.cvtColor(grey(alpha), cv2.COLOR_GRAY2BGR), np.uint8)
        if self._output == "alpha":
            people = estimate_foreground(frame.pixels, alpha)
            if self._premultiplied:
                people = blend(people, np.zeros_like(people), alpha)
            return np.dstack([people, grey(alpha)])
        if self._output == "foreground":
            people = estimate_foreground(frame.pixels, alpha)
            return blend(people, np.zeros_like(people), alpha)
        return self._laid_over(frame, alpha)

    def _laid_over(self, frame: Frame, alpha: Alpha) -> Image:
        behind = self._background.for_frame(frame, alpha)
        options = self._options
        near = None
        if options.clean_edges:
            near = near_colours(*shrink_both(frame.pixels, alpha))
        wrap = options.light_wrap
        glow = light_wrap(alpha, wrap) if wrap else None
        return blend(
            frame.pixels,
            behind,
            alpha,
            linear_light=options.linear_light,
            near=near,
            glow=glow,
        )
