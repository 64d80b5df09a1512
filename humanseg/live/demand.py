"""Whether any program looks at the virtual camera, so that the real one can rest when none does."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from humanseg import v4l2
from humanseg.closing import Closing
from humanseg.device_access import is_in_use
from humanseg.devices import DEVICES
from humanseg.protocols import Closable
from humanseg.v4l2 import Ioctl

_PRIVATE_EVENTS = 0x0800_0000

USAGE_EVENTS = (_PRIVATE_EVENTS + 0x08E0_0000 + 1, _PRIVATE_EVENTS)
"""v4l2loopback's event for programs that begin and end to read: its own, of 0.13 and later, and
that of the 0.12 which Ubuntu has patched."""

RENEW_SECONDS = 10.0
"""How often the state itself is asked for, in case an event was lost."""

RETRY_SECONDS = 1.0
"""Pause before a device that went away is asked again."""

SCAN_SECONDS = 0.3
"""Pause between two looks through the processes; a program is noticed within half a second."""

SCAN_SHARE = 0.05
"""Share of one core that looking through the processes may take."""


class Demand(Closable, Protocol):
    """Tells whether the virtual camera is looked at."""

    def wanted(self) -> bool:
        """Whether any program reads it; cheap, for about ten calls a second."""


class AlwaysWanted(Closing):
    """For systems that do not tell, and for those who want the camera always on."""

    def wanted(self) -> bool:
        """True."""
        return True


class ClientUsage(Closing):
    """What v4l2loopback itself says: it tells its subscribers when programs begin and end to read.

    Programs that only open the device, to list it or to ask what it can do, do not count. The
    subscription is renewed now and then, which has the driver tell its state anew, so that an
    event that was lost does not leave the camera off.

    Source: `V4L2_EVENT_PRI_CLIENT_USAGE` of v4l2loopback; 0.12 and before know no such event.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        ioctl: Ioctl = v4l2.system_ioctl,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Subscribe.

        Args:
            path: of the device, "/dev/video10".
            ioctl: the system's call, or a test's.
            clock: gives seconds; for tests.

        Raises:
            OSError: the device is missing, or its driver does not tell.
        """
        self._path = path
        self._ioctl = ioctl
        self._clock = clock
        self._descriptor: int | None = None
        self._event = 0
        self._renew_at = 0.0
        # Until the driver has said something, a call must not stay dark.
        self._is_wanted = True
        self._renew()

    def wanted(self) -> bool:
        """Whether any program reads; the last answer while the device is away."""
        try:
            if self._clock() >= self._renew_at:
                self._renew()
            self._take_events()
        except OSError:
            self.close()
            self._renew_at = self._clock() + RETRY_SECONDS
        return self._is_wanted

    def close(self) -> None:
        """End the subscription; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _renew(self) -> None:
        self._renew_at = self._clock() + RENEW_SECONDS
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._event = self._subscribe(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self.close()
        self._descriptor = descriptor

    def _subscribe(self, descriptor: int) -> int:
        """The event that the driver knows."""
        for event in USAGE_EVENTS[:-1]:
            with contextlib.suppress(OSError):
                v4l2.subscribe(descriptor, event, self._ioctl)
                return event
        v4l2.subscribe(descriptor, USAGE_EVENTS[-1], self._ioctl)
        return USAGE_EVENTS[-1]

    def _take_events(self) -> None:
        while self._descriptor is not None:
            told = v4l2.next_event(self._descriptor, self._ioctl)
            if told is None:
                return
            event, readers = told
            if event == self._event:
                self._is_wanted = readers > 0


class OpenElsewhere(Closing):
    """Whether another program of this user holds the device open, for drivers that do not tell.

    Looking through all processes costs some milliseconds, so it is done a few times a second at
    most, and more rarely where there are very many.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        processes: Path = Path("/proc"),
        clock: Callable[[], float] = time.monotonic,
        cost: Callable[[], float] = time.thread_time,
    ) -> None:
        """Set what to look for.

        Args:
            path: of the device.
            processes: where the system lists them.
            clock: gives seconds; for tests.
            cost: gives the processor's seconds; for tests.
        """
        self._path = path
        self._processes = processes
        self._clock = clock
        self._cost = cost
        self._look_at = clock()
        self._is_wanted = True

    def wanted(self) -> bool:
        """Whether another program holds the device open, as of the last look."""
        if self._clock() >= self._look_at:
            begun = self._cost()
            self._is_wanted = is_in_use(self._path, processes=self._processes)
            pause = max(SCAN_SECONDS, (self._cost() - begun) / SCAN_SHARE)
            self._look_at = self._clock() + pause
        return self._is_wanted


def open_demand(device: str, *, ioctl: Ioctl = v4l2.system_ioctl) -> Demand:
    """The best way this system has to tell whether a virtual camera is looked at.

    Args:
        device: `VirtualCameraSink.device`.
        ioctl: the system's call, or a test's.
    """
    if sys.platform != "linux" or not Path(device).is_relative_to(DEVICES):
        return AlwaysWanted()
    try:
        return ClientUsage(device, ioctl=ioctl)
    except OSError:
        return OpenElsewhere(device)
