"""Video files handed in on the page: a queue, worked through one by one."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2

from humanseg.closing import Closing
from humanseg.errors import HumansegError, InputError, PartialError, SettingsError
from humanseg.jobs import process_video
from humanseg.pipeline import Progress, Summary
from humanseg.sources.video_file import VideoFileSource

MOST_BYTES = 2_000_000_000
LONGEST_SECONDS = 30 * 60
MOST_PIXELS = 4096 * 2304
"""Of a frame: 4K."""

USUAL_RATE = 60
"""Frames a second taken for a video that does not tell."""

MOST_JOBS = 20
"""Waiting, running and finished together."""

PATIENCE = 10.0
"""Seconds to wait at the end for a job to notice that it was cancelled."""

Process = Callable[..., Summary]


class JobState(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class _Cancelled(Exception):
    """The user has cancelled the job."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with a video.

    Attributes:
        background: as `process_video` takes it.
        output: "composite", "mask" or "alpha".
        preset: "fast", "balanced" or "best".
    """

    background: str = "blur"
    output: str = "composite"
    preset: str = "balanced"

    @property
    def suffix(self) -> str:
        """Of the result: transparency does not fit into an MP4."""
        return ".mov" if self.output == "alpha" else ".mp4"


@dataclass(slots=True)
class FileJob:
    """One video.

    Attributes:
        name: of the user's file.
        source: the copy that is read.
        target: the result, in the same folder, which belongs to this job.
        result_name: what the result is called when it is downloaded.
        wish: what is to be done.
        key: of the job.
        state: where it is.
        frames: finished so far.
        most_frames: after which it is too long, whatever the file promised.
        promised: frames the video promises; None if it does not tell.
        seconds: since it began.
        text: what went wrong, or what the user should know; empty for nothing.
        is_unwanted: it was cancelled, and may not have noticed yet.
    """

    name: str
    source: Path
    target: Path
    result_name: str
    wish: Wish
    key: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    state: JobState = JobState.WAITING
    frames: int = 0
    most_frames: int = LONGEST_SECONDS * USUAL_RATE
    promised: int | None = None
    seconds: float = 0.0
    text: str = ""
    is_unwanted: bool = False

    @property
    def seconds_left(self) -> float | None:
        """Until the result is there, if it goes on as before; None while that cannot be told."""
        if self.promised is None or not self.frames or self.seconds < 1:
            return None
        return max(0, self.promised - self.frames) * self.seconds / self.frames

    def fields(self) -> dict[str, object]:
        """The job as JSON takes it."""
        left = self.seconds_left if self.state is JobState.RUNNING else None
        return {
            "key": self.key,
            "name": self.name,
            "result_name": self.result_name,
            "state": self.state.value,
            "frames": self.frames,
            "promised": self.promised,
            "seconds": round(self.seconds, 1),
            "seconds_left": None if left is None else round(left, 1),
            "text": self.text,
            "bytes": _size(self.target) if self.state is JobState.DONE else 0,
        }


class FileQueue(Closing):
    """Runs one job at a time in a thread of its own; may be used by any thread.

    Attributes:
        version: grows whenever something about a job has changed.
    """

    def __init__(self, *, threads: int | None = None, process: Process = process_video) -> None:
        """Start the thread.

        Args:
            threads: of the processor; None takes all cores.
            process: does a job.
        """
        self.version = 0
        self._threads = threads
        self._process = process
        self._jobs: dict[str, FileJob] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._worker = threading.Thread(target=self._work, name="humanseg-web-files", daemon=True)
        self._worker.start()

    def check_room(self) -> None:
        """Check that another job may come.

        Raises:
            SettingsError: there are too many.
        """
        if len(self._jobs) >= MOST_JOBS:
            raise SettingsError(
                f"there are {MOST_JOBS} videos in the list", hint="remove some of them first"
            )

    def add(self, job: FileJob) -> None:
        """Put a job at the end of the queue; its folder is deleted with it.

        Raises:
            HumansegError: the video cannot be read, is too long or too large, or there are too
                many; the folder still belongs to the caller then.
        """
        self.check_room()
        try:
            with VideoFileSource(job.source) as video:
                info = video.info
        except HumansegError as error:
            raise SettingsError(error.what, subject=job.name, hint=error.hint) from error
        if info.duration is not None and info.duration > LONGEST_SECONDS:
            raise _too_long(job.name)
        if info.width * info.height > MOST_PIXELS:
            raise SettingsError(
                f"has frames of {info.width}x{info.height} pixels, more than 4K", subject=job.name
            )
        with self._changed:
            job.promised = info.frame_count
            job.most_frames = round(LONGEST_SECONDS * float(info.rate or USUAL_RATE)) + 1
            self._jobs[job.key] = job
            self._tell()

    def jobs(self) -> list[FileJob]:
        """All jobs, the oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def find(self, key: str) -> FileJob:
        """The job of a key.

        Raises:
            SettingsError: there is none.
        """
        job = self._jobs.get(key)
        if job is None:
            raise SettingsError("this video is no longer in the list")
        return job

    def cancel(self, key: str) -> None:
        """End a job that waits or runs; one that has ended stays as it is.

        Raises:
            SettingsError: there is no such job.
        """
        job = self.find(key)
        with self._changed:
            job.is_unwanted = job.state not in ENDED
            if job.state is JobState.WAITING:
                self._end(job, JobState.CANCELLED)

    def remove(self, key: str) -> None:
        """Take a job that has ended from the list, and its result from the disk.

        Raises:
            SettingsError: there is no such job, or it has not ended.
        """
        job = self.find(key)
        with self._changed:
            if job.state not in ENDED:
                raise SettingsError("this video is still being worked on", hint="cancel it first")
            self._jobs.pop(key, None)
            shutil.rmtree(job.source.parent, ignore_errors=True)
            self._tell()

    def close(self) -> None:
        """Cancel all jobs and wait for the thread."""
        with self._changed:
            self._is_closed = True
            for job in self._jobs.values():
                job.is_unwanted = True
            self._changed.notify_all()
        self._worker.join(PATIENCE)

    def _tell(self) -> None:
        self.version += 1
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._next() is not None)
                job = self._next()
                if self._is_closed or job is None:
                    return
                job.state = JobState.RUNNING
                self._tell()
            state, text = self._run(job)
            with self._changed:
                self._end(job, state, text)

    def _next(self) -> FileJob | None:
        waiting = (job for job in self._jobs.values() if job.state is JobState.WAITING)
        return next(waiting, None)

    def _end(self, job: FileJob, state: JobState, text: str = "") -> None:
        job.state, job.text = state, text
        for path in job.source.parent.iterdir():
            if state is not JobState.DONE or path != job.target:
                path.unlink(missing_ok=True)
        self._tell()

    def _run(self, job: FileJob) -> tuple[JobState, str]:
        def note(progress: Progress) -> None:
            if job.is_unwanted:
                raise _Cancelled
            if progress.frames > job.most_frames:
                raise _too_long(job.name)
            job.frames, job.seconds = progress.frames, progress.seconds
            self.version += 1

        options: dict[str, Any] = {
            "background": job.wish.background,
            "output": job.wish.output,
            "preset": job.wish.preset,
            "threads": self._threads,
            "on_progress": note,
        }
        picture_threads = cv2.getNumThreads()
        try:
            summary = self._process(job.source, job.target, **options)
        except PartialError as error:
            self._take(job, error.summary)
            return JobState.DONE, error.what
        except _Cancelled:
            return JobState.CANCELLED, ""
        except HumansegError as error:
            if job.is_unwanted:
                return JobState.CANCELLED, ""
            return JobState.FAILED, _without_path(error)
        except Exception as fault:  # the queue must go on with the next video
            return JobState.FAILED, f"humanseg has a fault: {type(fault).__name__}: {fault}"
        finally:
            cv2.setNumThreads(picture_threads)  # the call's own, which a job changes for all
        self._take(job, summary)
        return JobState.DONE, "; ".join(summary.warnings)

    def _take(self, job: FileJob, summary: Summary | None) -> None:
        if summary is not None:
            job.frames, job.seconds = summary.frames, summary.seconds


def _too_long(name: str) -> SettingsError:
    return SettingsError(
        f"is longer than {LONGEST_SECONDS // 60} minutes",
        subject=name,
        hint="use the command `humanseg video` for it",
    )


def _without_path(error: HumansegError) -> str:
    """The error without the place of the temporary copy, which tells the user nothing."""
    has_advice = isinstance(error, InputError) and error.hint
    return f"{error.what} ({error.hint})" if has_advice else error.what


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
