"""Every error this package raises on purpose.

* HumansegError(what, subject=, hint=)
  - InputError         exit 2   nothing was written
    + SourceError               cannot be opened, no frames, wrong kind
      - SourceLost              a camera or stream that was there went away or stalled
    + SettingsError             an option or a line of a config file is wrong
    + WeightsError              missing, corrupt, or of another network
    + MissingExtraError         an optional package is absent
    + TrainingDataError         a picture or mask to train on is missing or wrong
  - OutputError        exit 1   what exists is kept, and named
    + SinkError                 a file, a virtual camera or a window refuses frames
  - PartialError       exit 3   only part of the source could be read; the output is playable
* Interrupted          exit 130 Ctrl-C (a KeyboardInterrupt); what was written is kept, and named
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar


class HumansegError(Exception):
    """What happened, to which file or device, and what to do next.

    Attributes:
        what: the fault in a few words, without the subject: "has no video stream".
        subject: the file or device it happened to, or None.
        hint: the next step for the user, or None.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, what: str, *, subject: object | None = None, hint: str | None = None
    ) -> None:
        self.what = what
        self.subject = None if subject is None else str(subject)
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.subject}: {self.what}" if self.subject else self.what
        return f"{line} ({self.hint})" if self.hint else line


class InputError(HumansegError):
    """The request cannot be carried out as given; nothing was written."""

    exit_code = 2


class SourceError(InputError):
    """A video, picture or camera cannot be opened, holds no frames, or is of the wrong kind."""


class SourceLost(SourceError):
    """A camera or a stream that gave frames went away or stalled; opening it again may help."""


class SettingsError(InputError):
    """An option or a line of a config file is wrong."""


class WeightsError(InputError):
    """Weights are missing, corrupt, or belong to another network."""


class MissingExtraError(InputError):
    """An optional package is not installed."""


class TrainingDataError(InputError):
    """A picture or a mask to train on is missing, unreadable, or of the wrong size."""


class OutputError(HumansegError):
    """The result could not be written; what exists is kept and named."""

    exit_code = 1


class SinkError(OutputError):
    """A file, a virtual camera or a window refuses frames."""


class PartialError(HumansegError):
    """Only part of the source could be read; the output is finished and playable.

    Attributes:
        summary: the job's figures, a `humanseg.pipeline.Summary`; None before the job has ended.
    """

    exit_code = 3
    summary: Any = None


class Interrupted(KeyboardInterrupt):
    """The user stopped the job; the frames written so far are kept in a playable file.

    Attributes:
        kept: that file, or None when there was nothing to keep.
        frames: number of frames in it.
    """

    exit_code: ClassVar[int] = 130

    def __init__(self, *, kept: Path | None = None, frames: int = 0) -> None:
        self.kept = kept
        self.frames = frames
        super().__init__("stopped by the user")
