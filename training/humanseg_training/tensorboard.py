"""TensorBoard's event files, written without TensorBoard.

A file is a row of records (length, its checksum, bytes, their checksum), each the protocol buffer
of one event. What is written here are scalars and pictures, which is little of either format.

Source: tensorflow/core/lib/io/record_writer.h and core/util/event.proto, as documented.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
RGB = 3
"""Number of colour channels, which also names the colour space."""


class EventFile:
    """Appends events to a new file in a folder; each call leaves the file readable."""

    def __init__(self, folder: Path) -> None:
        """Begin a file.

        Raises:
            OSError: it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self.path = folder / name
        self._append(_bytes(3, b"brain.Event:2"), step=0)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by tag."""
        summary = b"".join(
            _bytes(1, _bytes(1, tag.encode()) + _key(2, FIXED_32) + struct.pack("<f", value))
            for tag, value in values.items()
        )
        self._append(_bytes(5, summary), step)

    def image(self, tag: str, encoded: bytes, size: tuple[int, int], step: int) -> None:
        """The content of a JPEG or PNG file; size is (height, width)."""
        image = _int(1, size[0]) + _int(2, size[1]) + _int(3, RGB) + _bytes(4, encoded)
        self._append(_bytes(5, _bytes(1, _bytes(1, tag.encode()) + _bytes(4, image))), step)

    def _append(self, content: bytes, step: int) -> None:
        event = _key(1, FIXED_64) + struct.pack("<d", time.time()) + _int(2, step) + content
        length = struct.pack("<Q", len(event))
        with self.path.open("ab") as file:
            file.write(length + _checksum(length) + event + _checksum(event))


def read_events(path: Path) -> Iterator[bytes]:
    """The events of a file, as encoded protocol buffers.

    Raises:
        ValueError: a checksum is wrong.
    """
    content = path.read_bytes()
    while content:
        length = int.from_bytes(content[:8], "little")
        event = content[12 : 12 + length]
        after = content[12 + length : 16 + length]
        if content[8:12] != _checksum(content[:8]) or after != _checksum(event):
            raise ValueError(f"{path} is damaged")
        yield event
        content = content[16 + length :]


def _key(field: int, kind: int) -> bytes:
    return bytes([field << 3 | kind])


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def _int(field: int, number: int) -> bytes:
    return _key(field, VARINT) + _varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, BYTES) + _varint(len(content)) + content


def _table() -> list[int]:
    """CRC-32C (Castagnoli) of every byte."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = _table()


def _checksum(content: bytes) -> bytes:
    """Masked CRC-32C, as records hold it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)
