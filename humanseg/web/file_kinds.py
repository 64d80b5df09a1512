"""What a file is by its first bytes, before anything decodes it.

Sizes are read from headers by hand: a picture of a few kilobytes can unpack to gigabytes, so it
must be measured before it is unpacked. What is not known here is refused, playlists and SVG too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 16
"""Enough to know a video by."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_SIZED_SEGMENTS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = {0x01, *range(0xD0, 0xD8)}
_EBML = b"\x1a\x45\xdf\xa3"
_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_TRANSPORT_SYNC, _TRANSPORT_PACKETS = 0x47, (b"\x40", b"\x41", b"\x00", b"\x1f")


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture says of itself.

    Attributes:
        kind: "png", "jpeg" or "webp".
        height: in pixels, before any turn that EXIF asks for.
        width: in pixels.
    """

    kind: str
    height: int
    width: int


def picture_header(data: bytes) -> PictureHeader | None:
    """Kind and size of a PNG, JPEG or WebP; None for all else, and for a damaged header."""
    try:
        if data.startswith(_PNG) and data[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", data, 16)
            return _header("png", height, width)
        if data.startswith(_JPEG):
            return _jpeg_header(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_header(data)
    except (struct.error, IndexError):
        pass
    return None


def is_video(head: bytes) -> bool:
    r"""Whether the first HEAD_BYTES of a file are those of a video that can be read here.

    >>> is_video(b"\0\0\0\x20ftypisom"), is_video(b"#EXTM3U")
    (True, False)
    """
    if head[4:8] in _MP4_BOXES or head.startswith((_EBML, b"FLV\x01", b"OggS")):
        return True
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return True
    if head.startswith(b"\x00\x00\x01\xba"):  # MPEG programme stream
        return True
    return head[:1] == bytes([_TRANSPORT_SYNC]) and head[1:2] in _TRANSPORT_PACKETS


def _header(kind: str, height: int, width: int) -> PictureHeader | None:
    return PictureHeader(kind, height, width) if height > 0 and width > 0 else None


def _jpeg_header(data: bytes) -> PictureHeader | None:
    """From the first frame header; segments before it (EXIF with its own thumbnail) are skipped."""
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif marker in _BARE_MARKERS:
            place += 2
        elif marker in _SIZED_SEGMENTS:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return _header("jpeg", height, width)
        else:
            (length,) = struct.unpack_from(">H", data, place + 2)
            place += 2 + max(2, length)
    return None


def _webp_header(data: bytes) -> PictureHeader | None:
    chunk = data[12:16]
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return _header("webp", height & 0x3FFF, width & 0x3FFF)
    if chunk == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return _header("webp", (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if chunk == b"VP8X":
        low = struct.unpack_from("<HBHB", data, 24)
        return _header("webp", low[2] + (low[3] << 16) + 1, low[0] + (low[1] << 16) + 1)
    return None
