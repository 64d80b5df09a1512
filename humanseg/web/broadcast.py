"""The preview of the page: the newest frame as a JPEG, made once for all who watch.

It is made in a thread of its own at a limited rate and size, and only while somebody watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np

from humanseg.closing import Closing
from humanseg.pixels import resize, within

if TYPE_CHECKING:
    from humanseg.frames import Frame
    from humanseg.sinks.watched import WatchedSink

RATE = 15.0
"""Pictures a second, at most."""

LARGEST = (540, 960)
"""(height, width) that frames are scaled down to."""

QUALITY = 80


class Broadcast(Closing):
    """Turns the frames of a sink into JPEGs; belongs to one event loop, but for `close`.

    Attributes:
        number: of pictures made so far.
    """

    def __init__(self, sink: WatchedSink, *, rate: float = RATE) -> None:
        """Prepare; nothing is made before somebody watches.

        Args:
            sink: gives the frames.
            rate: pictures a second, at most.
        """
        self._sink = sink
        self._period = 1 / rate
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="humanseg-web-encode")
        self._changed = asyncio.Event()
        self._newest = b""
        self._viewers = 0
        self._making: asyncio.Task[None] | None = None
        self.number = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Have pictures made while the context lasts."""
        with self._sink.watching():
            self._viewers += 1
            if self._making is None:
                self._making = asyncio.create_task(self._make())
            try:
                yield
            finally:
                self._viewers -= 1
                if not self._viewers and self._making is not None:
                    self._making.cancel()
                    self._making = None
                    self._newest = b""

    async def after(self, number: int) -> tuple[int, bytes]:
        """The newest picture and its number, once there is one later than a number."""
        while self.number <= number or not self._newest:
            await self._changed.wait()
        return self.number, self._newest

    async def _make(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._period
            frame = self._sink.take()
            if frame is not None:
                self._newest = await loop.run_in_executor(self._encoder, encode, frame)
                self.number += 1
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(max(0.0, due - loop.time()))

    def close(self) -> None:
        """End the encoder's thread."""
        self._encoder.shutdown(cancel_futures=True)


def encode(frame: Frame) -> bytes:
    """A JPEG of a frame, at most as large as LARGEST."""
    pixels = frame.pixels[..., :3]
    height, width = pixels.shape[:2]
    tall, wide = within(height, width, LARGEST)
    if tall < height:
        pixels = resize(np.ascontiguousarray(pixels), tall, wide)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return np.asarray(data).tobytes()
