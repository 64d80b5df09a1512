"""How errors are shown: a panel or plain lines on stderr, or JSON on stdout; faults go to a log."""

from __future__ import annotations

import json
import platform
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from humanseg.errors import HumansegError, Interrupted, PartialError
from humanseg_cli import draw

LOG_NAME = "fault-%Y%m%d-%H%M%S.log"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the user wants to see.

    Attributes:
        quiet: errors only.
        as_json: one JSON object on stdout and nothing else.
        debug: a traceback with each error.
    """

    quiet: bool = False
    as_json: bool = False
    debug: bool = False


def show_error(error: HumansegError, shown: Shown) -> None:
    """Show an error that was raised on purpose; a partial job has its summary, too."""
    summary = error.summary if isinstance(error, PartialError) else None
    if shown.as_json:
        _print_json(
            error.what, error.subject, error.hint, {} if summary is None else draw.fields(summary)
        )
    else:
        if summary is not None and not shown.quiet:
            draw.summary(summary)
        draw.error(error.what, error.subject, error.hint)
    _trace(error, shown)


def show_stop(stop: KeyboardInterrupt, shown: Shown) -> None:
    """Show what a stopped job leaves behind."""
    kept, frames, hint = None, 0, None
    if isinstance(stop, Interrupted):
        kept, frames, hint = stop.kept, stop.frames, "nothing was written"
    if kept is not None:
        if kept.is_dir():
            hint = f"the first {frames:,} pictures are finished, in this folder"
        else:
            hint = f"the first {frames:,} frames are kept in this file, which can be played"
    what = "stopped by the user"
    subject = None if kept is None else str(kept)
    if shown.as_json:
        _print_json(what, subject, hint, {"frames": frames})
    else:
        draw.error(what, subject, hint, title="Stopped")
    _trace(stop, shown)


def show_fault(fault: Exception, shown: Shown) -> None:
    """Show a mistake of ours: its traceback goes to a file, and one line names it."""
    what = f"humanseg has a fault: {type(fault).__name__}: {fault}"
    what = "; ".join([what, *getattr(fault, "__notes__", [])])
    path = write_log(fault)
    hint = "run again with --debug" if path is None else f"please report it with {path}"
    if shown.as_json:
        _print_json(what, None, hint, {})
    else:
        draw.error(what, None, hint)
    _trace(fault, shown)


def show_usage_json(error: Exception, command: str) -> None:
    """Show a wrong command line as JSON."""
    words = error.format_message() if hasattr(error, "format_message") else str(error)
    _print_json(words, None, f"see {command} --help", {})


def write_log(fault: BaseException) -> Path | None:
    """Write a traceback and what it takes to read it; None when there is no place for it."""
    from platformdirs import user_log_path

    import humanseg

    text = "\n".join(
        [
            f"humanseg {humanseg.__version__}, Python {platform.python_version()}, "
            f"{platform.platform()}",
            " ".join(sys.argv),
            "",
            *traceback.format_exception(fault),
        ]
    )
    path = user_log_path("humanseg", appauthor=False) / time.strftime(LOG_NAME)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError:
        return None
    return path


def _print_json(what: str, subject: str | None, hint: str | None, more: dict[str, object]) -> None:
    print(json.dumps({**more, "error": {"what": what, "subject": subject, "hint": hint}}, indent=2))


def _trace(error: BaseException, shown: Shown) -> None:
    if shown.debug:
        traceback.print_exception(error, file=sys.stderr)
