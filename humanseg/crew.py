"""Threads that begin and end together, whatever fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from humanseg.channel import Ended

READER_PATIENCE = 2.0
"""Seconds to wait for a reader at the end; a driver may hang inside a read for ever."""

TICK = 0.1
"""Seconds between two looks of the caller's thread at the progress."""


class Abortable(Protocol):
    """What threads wait on, and can be woken from."""

    def abort(self) -> None:
        """Wake everyone who waits; nothing is handed over any more."""


class Crew:
    """Runs a body in a thread each; the first error stops all and is raised to the caller.

    The caller's thread starts them, waits, and takes Ctrl-C. A body that meets `Ended` leaves
    without a fault.
    """

    def __init__(self, *waits: Abortable) -> None:
        """Set what has to be aborted so that no body waits for ever."""
        self._waits = waits
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._ended_stages = 0
        self._woken = threading.Semaphore(0)

    def run(
        self,
        stages: Sequence[tuple[str, Callable[[], None]]],
        *,
        reader: Callable[[], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        on_interrupt: Callable[[], None] | None = None,
        tick: float = TICK,
    ) -> int:
        """Run all bodies to their ends; the threads have ended when it returns or raises.

        Args:
            stages: names and bodies; a thread is called "humanseg-<name>".
            reader: a body that may hang in a driver: its thread is waited for READER_PATIENCE
                at most, and only after the stages have ended.
            on_tick: called in the caller's thread, every `tick` seconds and after every `wake`.
            on_interrupt: called at the first Ctrl-C; the second one aborts.
            tick: seconds.

        Returns:
            How often Ctrl-C came.

        Raises:
            BaseException: the first error of a body or of `on_tick`.
        """
        reading = threading.Thread(
            target=self._guard, args=(reader,), name="humanseg-read", daemon=True
        )
        threads = [
            threading.Thread(target=self._guard_stage, args=(body,), name=f"humanseg-{name}")
            for name, body in stages
        ]
        started = threads if reader is None else [reading, *threads]
        for thread in started:
            thread.start()
        interrupts = self._supervise(len(threads), on_tick, on_interrupt, tick)
        for thread in threads:
            thread.join()
        if reader is not None:
            reading.join(READER_PATIENCE)
        if self._error is not None:
            raise self._error
        return interrupts

    def wake(self) -> None:
        """Have `on_tick` called soon."""
        self._woken.release()

    def abort(self) -> None:
        """End all bodies at once; what they had not handed on is lost."""
        for wait in self._waits:
            wait.abort()

    def remember(self, error: BaseException) -> None:
        """Keep an error to be raised when all have ended; the first one stays."""
        with self._lock:
            self._error = self._error or error

    def _supervise(
        self,
        stage_count: int,
        on_tick: Callable[[], None] | None,
        on_interrupt: Callable[[], None] | None,
        tick: float,
    ) -> int:
        """Wait for the stages to end; returns how often Ctrl-C came."""
        interrupts = 0
        while self._ended_stages < stage_count:
            try:
                # Only a waking call: a Ctrl-C that falls into it may swallow the release.
                self._woken.acquire(timeout=tick)
                if on_tick is not None:
                    on_tick()
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts == 1 and on_interrupt is not None:
                    on_interrupt()
                else:
                    self.abort()
            except BaseException as error:
                # The caller's own on_tick failed: the threads must not be left behind.
                self.remember(error)
                self.abort()
        return interrupts

    def _guard_stage(self, body: Callable[[], None]) -> None:
        try:
            self._guard(body)
        finally:
            with self._lock:
                self._ended_stages += 1
            self.wake()

    def _guard(self, body: Callable[[], None]) -> None:
        try:
            body()
        except Ended:
            pass
        except BaseException as error:
            self.remember(error)
            self.abort()
