"""Frame and alpha -> the frame people see, all in YCbCr 4:2:0: no picture is converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import cv2
import numpy as np

from humanseg.blending import GLOW_HALVINGS, BlendOptions, Near, grey, light_wrap, mix
from humanseg.foreground import SMALL_ROWS, near_colours
from humanseg.media.color import luma_span
from humanseg.media.planar import PlanarFrame, Planes, planes_of
from humanseg.pixels import interleave, resize, where_at_least
from humanseg.planar_edge import Edge, Triple, triple_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from humanseg.frames import Alpha, Image
    from humanseg.media.planar import Plane
    from humanseg.protocols import Background

PLAIN = BlendOptions()

NEUTRAL = 128
"""Cb and Cr of grey."""


@runtime_checkable
class PlanarBackground(Protocol):
    """A background that can be made without BGR pixels."""

    def fill(self, frame: PlanarFrame, alpha: Alpha, into: Planes) -> None:
        """Write the background of a frame.

        Args:
            frame: as it came.
            alpha: (h, w) float32, 0..1, of the frame's size or smaller.
            into: planes of the frame's size.
        """


class PlanarCompositor:
    """Lays people over a background, plane by plane; sure pixels are only copied."""

    def __init__(self, background: Background, options: BlendOptions) -> None:
        self._background = background
        self._options = options
        self._converted: tuple[Image, Planes] | None = None

    def compose(self, frame: PlanarFrame, alpha: Alpha) -> PlanarFrame:
        """Make the output frame.

        Args:
            frame: left unchanged.
            alpha: (h, w) float32, 0..1, of the frame's size or smaller; it is enlarged in bytes.

        Returns:
            A new frame of the same time and size.
        """
        source = frame.planes
        made = Planes.empty(source.height, source.width, source.coding)
        cover = _enlarge(grey(alpha), source)
        self._fill(frame, alpha, cover, made)
        options = self._options
        wrap = None
        unsure = cover
        if options.light_wrap:
            wrap = _enlarge(grey(light_wrap(alpha, options.light_wrap)), source)
            unsure = np.asarray(cv2.subtract(cover, wrap), np.uint8)
        edge = Edge(unsure, made)
        behind = edge.gather(made)
        glow_light = interleave(made.level(GLOW_HALVINGS)) if wrap is not None else None
        # Blocks that are all people but for rounding have no pixel below this.
        cv2.copyTo(source.y, where_at_least(unsure, 252), made.y)
        for plane, into in ((source.u, made.u), (source.v, made.v)):
            cv2.copyTo(plane, edge.inside, into)
        if not edge.count:
            return frame.with_planes(made)
        near = self._near(source, alpha) if options.clean_edges else None
        for part, some in edge.parts():
            back, share = behind.taken(some), part.luma(cover) * np.float32(1 / 255)
            if options == PLAIN:
                part.scatter(_mix_stored(part.gather(source), back, share), made)
                continue
            glow = None
            if wrap is not None and glow_light is not None:
                light = part.near(glow_light).bgr(source.coding)
                glow = (part.luma(wrap) * np.float32(1 / 255), light)
            bgr = mix(
                part.gather(source).bgr(source.coding),
                back.bgr(source.coding),
                share,
                linear_light=options.linear_light,
                near=near and Near(*(part.near(colours).bgr(source.coding) for colours in near)),
                glow=glow,
            )
            part.scatter(triple_of(bgr, source.coding), made)
        return frame.with_planes(made)

    def mask(self, frame: PlanarFrame, alpha: Alpha) -> PlanarFrame:
        """The alpha in grey, as a frame of the same time and size."""
        source = frame.planes
        made = Planes.empty(source.height, source.width, source.coding)
        black, white = luma_span(source.coding)
        cover = _enlarge(grey(alpha), source)
        cv2.convertScaleAbs(cover, dst=made.y, alpha=(white - black) / 255, beta=black)
        made.u[:] = made.v[:] = NEUTRAL
        return frame.with_planes(made)

    def _fill(self, frame: PlanarFrame, alpha: Alpha, cover: Plane, into: Planes) -> None:
        if isinstance(self._background, PlanarBackground):
            self._background.fill(frame, alpha, into)
            return
        full = cover * np.float32(1 / 255)
        pixels = self._background.for_frame(frame, full)
        if self._converted is None or self._converted[0] is not pixels:
            self._converted = (pixels, planes_of(pixels, into.coding))
        converted = self._converted[1]
        for plane, target in (
            (converted.y, into.y),
            (converted.u, into.u),
            (converted.v, into.v),
        ):
            np.copyto(target, plane)

    def _near(self, source: Planes, alpha: Alpha) -> tuple[Image, Image]:
        """Small pictures of the colours of people and of what was behind them, in Y, Cb and Cr."""
        halvings = 1
        while source.height >> halvings > 1.5 * SMALL_ROWS:
            halvings += 1
        small = interleave(source.level(halvings))
        return near_colours(small, _shrink(alpha, *small.shape[:2]))


def _mix_stored(front: Triple, behind: Triple, share: NDArray[np.float32]) -> Triple:
    """Mix stored values, which needs no BGR: as on the planes, so on their colours."""
    whole = share.mean(axis=0, keepdims=True)
    mixed = []
    for one, other, weight in zip(front, behind, (share, whole, whole), strict=True):
        back = other.astype(np.float32)
        mixed.append((one - back) * weight + back)
    return Triple(*mixed)


def _enlarge(cover: Plane, like: Planes) -> Plane:
    return resize(cover, like.height, like.width)


def _shrink(alpha: Alpha, height: int, width: int) -> Alpha:
    way = cv2.INTER_AREA if alpha.shape[0] > height else cv2.INTER_LINEAR
    return cast("Alpha", cv2.resize(alpha, (width, height), interpolation=way))
