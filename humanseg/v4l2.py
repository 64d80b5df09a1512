"""What a V4L2 device says of itself: the few calls of Linux's videodev2.h that this takes.

Numbers and layouts are those of the kernel's user interface on all common processors (x86, ARM,
RISC-V); MIPS, PowerPC and SPARC number their calls in another way.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Ioctl = Callable[[int, int, bytearray], object]
"""(file descriptor, number of the call, structure that is read and written) -> ignored."""

VIDEO_CAPTURE = 0x0000_0001
VIDEO_OUTPUT = 0x0000_0002
VIDEO_CAPTURE_MPLANE = 0x0000_1000
VIDEO_M2M_MPLANE = 0x0000_4000
VIDEO_M2M = 0x0000_8000
STREAMING = 0x0400_0000
DEVICE_CAPS = 0x8000_0000

_CAPTURES = VIDEO_CAPTURE | VIDEO_CAPTURE_MPLANE
_CODECS = VIDEO_M2M | VIDEO_M2M_MPLANE

_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FORMAT = struct.Struct("=III32sI16x")
_SIZE = struct.Struct("=9I8x")
_INTERVAL = struct.Struct("=11I8x")
_BUFFERS = struct.Struct("=III8x")
# Kind, then a union of 200 bytes that is aligned as pointers are; here width, height and code.
_SET_FORMAT = struct.Struct("@I0P III188x0P")

_SUBSCRIPTION = struct.Struct("=III20x")
# Aligned as this processor does: type, 64 bytes for the event's own use, pending, sequence,
# seconds and nanoseconds, number, reserved.
_EVENT = struct.Struct("@I q56x II ll I32x 0q")

_WRITE, _READ, _READ_WRITE = 1, 2, 3
_BUFFER_CAPTURE, _BUFFER_OUTPUT, _BUFFER_CAPTURE_MPLANE = 1, 2, 9
_MEMORY_MMAP = 1
_DISCRETE = 1
_BIG_ENDIAN = 0x8000_0000

# More than any camera lists; against drivers that never say that the list has ended.
_LONGEST_LIST = 256

# What to name of a camera that takes any size or rate in a range.
_USUAL_SIZES = (
    (240, 320),
    (480, 640),
    (600, 800),
    (720, 1280),
    (1080, 1920),
    (1440, 2560),
    (2160, 3840),
)
_USUAL_RATES = (5.0, 10.0, 15.0, 24.0, 25.0, 30.0, 50.0, 60.0, 90.0, 120.0)


def _number(direction: int, code: int, size: int) -> int:
    """The kernel's _IOC macro for the letter V."""
    return direction << 30 | size << 16 | ord("V") << 8 | code


QUERYCAP = _number(_READ, 0, _CAPABILITY.size)
ENUM_FMT = _number(_READ_WRITE, 2, _FORMAT.size)
GET_FORMAT = _number(_READ_WRITE, 4, _SET_FORMAT.size)
REQBUFS = _number(_READ_WRITE, 8, _BUFFERS.size)
ENUM_FRAMESIZES = _number(_READ_WRITE, 74, _SIZE.size)
ENUM_FRAMEINTERVALS = _number(_READ_WRITE, 75, _INTERVAL.size)
DQEVENT = _number(_READ, 89, _EVENT.size)
SUBSCRIBE_EVENT = _number(_WRITE, 90, _SUBSCRIPTION.size)

_SEND_INITIAL = 1


@dataclass(frozen=True, slots=True)
class Capability:
    """What a device is.

    Attributes:
        driver: "uvcvideo", "v4l2 loopback".
        card: its name for people.
        bus: where it is plugged in.
        flags: what this node of it can do, VIDEO_CAPTURE and the like.
    """

    driver: str
    card: str
    bus: str
    flags: int

    @property
    def gives_pictures(self) -> bool:
        """Whether it is a camera, or a virtual camera that is being fed; a codec is neither."""
        return bool(self.flags & _CAPTURES and not self.flags & _CODECS)

    @property
    def takes_pictures(self) -> bool:
        """Whether a program may feed it."""
        return bool(self.flags & VIDEO_OUTPUT and not self.flags & _CODECS)


@dataclass(frozen=True, slots=True)
class Mode:
    """One format and size of a camera.

    Attributes:
        pixel_format: four letters, "MJPG" or "YUYV" and the like.
        height: of its pictures.
        width: of its pictures.
        rates: frames a second it offers, the lowest first; empty where the driver does not say.
    """

    pixel_format: str
    height: int
    width: int
    rates: tuple[float, ...] = ()


def system_ioctl(device: int, number: int, data: bytearray) -> object:
    """The system's own call.

    Raises:
        OSError: the device refuses it.
    """
    import fcntl  # not on Windows

    return fcntl.ioctl(device, number, data, True)


def capability(device: int, ioctl: Ioctl = system_ioctl) -> Capability:
    """What an open device is.

    Raises:
        OSError: it is no V4L2 device (ENOTTY, EINVAL), or it is gone (ENODEV).
    """
    data = bytearray(_CAPABILITY.size)
    ioctl(device, QUERYCAP, data)
    driver, card, bus, _, whole, node = _CAPABILITY.unpack(data)
    flags = node if whole & DEVICE_CAPS else whole
    return Capability(_text(driver), _text(card), _text(bus), flags)


def modes(device: int, able: Capability, ioctl: Ioctl = system_ioctl) -> tuple[Mode, ...]:
    """The formats, sizes and rates of an open camera, in the driver's order.

    A camera that takes any size in a range is listed with the usual ones and its largest.
    """
    found = []
    for code in _formats(device, able, ioctl):
        for height, width in _sizes(device, code, ioctl):
            rates = tuple(sorted(set(_rates(device, code, height, width, ioctl))))
            found.append(Mode(_letters(code), height, width, rates))
    return tuple(found)


def is_busy(device: int, able: Capability, ioctl: Ioctl = system_ioctl) -> bool:
    """Whether another program is streaming from an open camera.

    Asks for no buffers at all: the kernel refuses even that while they belong to somebody else.
    """
    try:
        ioctl(device, REQBUFS, bytearray(_BUFFERS.pack(0, _buffer_kind(able), _MEMORY_MMAP)))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def output_format(device: int, ioctl: Ioctl = system_ioctl) -> tuple[str, int, int]:
    """Four letters, height and width of what an open device is given.

    Raises:
        OSError: it takes no pictures (EINVAL), or it is gone (ENODEV).
    """
    data = bytearray(_SET_FORMAT.pack(_BUFFER_OUTPUT, 0, 0, 0))
    ioctl(device, GET_FORMAT, data)
    _, width, height, code = _SET_FORMAT.unpack(data)
    return _letters(code), height, width


def subscribe(device: int, event: int, ioctl: Ioctl = system_ioctl) -> None:
    """Have an open device tell of an event, and first of its state now.

    Raises:
        OSError: the device knows no such event (EINVAL, ENOTTY), or it is gone (ENODEV).
    """
    ioctl(device, SUBSCRIBE_EVENT, bytearray(_SUBSCRIPTION.pack(event, 0, _SEND_INITIAL)))


def next_event(device: int, ioctl: Ioctl = system_ioctl) -> tuple[int, int] | None:
    """Type of the next event, and the first 32 bits it carries; None when there is no more.

    Raises:
        OSError: the device is gone (ENODEV), or waits since it was not opened with O_NONBLOCK.
    """
    data = bytearray(_EVENT.size)
    try:
        ioctl(device, DQEVENT, data)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EAGAIN):
            return None
        raise
    kind, carried, *_ = _EVENT.unpack(data)
    return kind, carried & 0xFFFF_FFFF


def _formats(device: int, able: Capability, ioctl: Ioctl) -> Iterator[int]:
    for index in range(_LONGEST_LIST):
        data = bytearray(_FORMAT.pack(index, _buffer_kind(able), 0, b"", 0))
        if not _answers(ioctl, device, ENUM_FMT, data):
            return
        yield _FORMAT.unpack(data)[4]


def _sizes(device: int, code: int, ioctl: Ioctl) -> Iterator[tuple[int, int]]:
    """(height, width) of each size."""
    for index in range(_LONGEST_LIST):
        data = bytearray(_SIZE.pack(index, code, *[0] * 7))
        if not _answers(ioctl, device, ENUM_FRAMESIZES, data):
            return
        _, _, kind, *numbers = _SIZE.unpack(data)
        if kind != _DISCRETE:
            yield from _sizes_in_range(numbers)
            return
        yield numbers[1], numbers[0]


def _sizes_in_range(numbers: list[int]) -> Iterator[tuple[int, int]]:
    narrowest, widest, step_across, lowest, highest, step_down = numbers
    for height, width in _USUAL_SIZES:
        fits = lowest <= height <= highest and narrowest <= width <= widest
        if not fits or (height, width) == (highest, widest):
            continue
        if (width - narrowest) % (step_across or 1) == (height - lowest) % (step_down or 1) == 0:
            yield height, width
    yield highest, widest


def _rates(device: int, code: int, height: int, width: int, ioctl: Ioctl) -> Iterator[float]:
    for index in range(_LONGEST_LIST):
        data = bytearray(_INTERVAL.pack(index, code, width, height, *[0] * 7))
        if not _answers(ioctl, device, ENUM_FRAMEINTERVALS, data):
            return
        _, _, _, _, kind, *numbers = _INTERVAL.unpack(data)
        shortest, longest = _rate(*numbers[:2]), _rate(*numbers[2:4])
        if kind == _DISCRETE:
            if shortest:
                yield shortest
            continue
        yield from (rate for rate in _USUAL_RATES if longest <= rate <= shortest)
        if shortest:
            yield shortest
        return


def _rate(numerator: int, denominator: int) -> float:
    """Frames a second of an interval in seconds; 0 when it says nothing."""
    return round(denominator / numerator, 3) if numerator else 0.0


def _answers(ioctl: Ioctl, device: int, number: int, data: bytearray) -> bool:
    """Make a call; False when the list has ended or the driver has no such list."""
    try:
        ioctl(device, number, data)
    except OSError:
        return False
    return True


def _buffer_kind(able: Capability) -> int:
    return _BUFFER_CAPTURE if able.flags & VIDEO_CAPTURE else _BUFFER_CAPTURE_MPLANE


def _letters(code: int) -> str:
    """A format's four letters.

    >>> _letters(0x47504A4D)
    'MJPG'
    """
    letters = (code & ~_BIG_ENDIAN).to_bytes(4, "little").decode("ascii", "replace")
    return letters.strip() + ("-BE" if code & _BIG_ENDIAN else "")


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
