"""What all commands have in common: an option with an optional value, and the end of errors."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

import typer
from typer.core import TyperCommand

from humanseg.errors import HumansegError
from humanseg_cli import failures
from humanseg_cli.options import SHOWN, USUAL_BLUR

BLUR_OPTION = "--blur-background"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
USAGE_EXIT_CODE = 2
FAULT_EXIT_CODE = 1


class Command(TyperCommand):
    """A command whose errors end in a panel, or in JSON, and an exit code; never in a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, after `--blur-background` was given the value that it may lack."""
        as_json = "--json" in args
        try:
            return super().parse_args(ctx, complete_blur(args))
        except Exception as error:
            # typer reports a wrong option in words; a script that asked for JSON gets JSON.
            if as_json and getattr(error, "exit_code", None) == USAGE_EXIT_CODE:
                failures.show_usage_json(error, ctx.command_path)
                raise typer.Exit(USAGE_EXIT_CODE) from error
            raise

    def get_help_option(self, ctx: Any) -> Any:
        """Put `--help` beside the other options about what is shown, not in a panel of its own."""
        option = super().get_help_option(ctx)
        for name, value in (("rich_help_panel", SHOWN), ("metavar", "")):
            setattr(option, name, value)
        return option

    def invoke(self, ctx: Any) -> Any:
        """Run the command; end with the exit code of its error, if there is one."""
        shown = failures.Shown(
            quiet=bool(ctx.params.get("quiet")),
            as_json=bool(ctx.params.get("as_json")),
            debug=bool(ctx.params.get("debug")),
        )
        with _Termination() as termination:
            try:
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
            except (typer.Exit, typer.Abort, typer.BadParameter):
                raise
            except BrokenPipeError:
                _forget_stdout()
                code = FAULT_EXIT_CODE
            except KeyboardInterrupt as stop:
                failures.show_stop(stop, shown)
                code = 128 + (signal.SIGTERM if termination.came else signal.SIGINT)
            except HumansegError as error:
                failures.show_error(error, shown)
                code = error.exit_code
            except Exception as error:
                failures.show_fault(error, shown)
                code = FAULT_EXIT_CODE
        raise typer.Exit(code)


def complete_blur(arguments: Sequence[str]) -> list[str]:
    """Give each `--blur-background` its value: the number that follows, or else USUAL_BLUR.

    >>> complete_blur(["--blur-background", "in.mp4", "out.mp4"])
    ['--blur-background=usual', 'in.mp4', 'out.mp4']
    >>> complete_blur(["in.mp4", "out.mp4", "--blur-background", "0.8"])
    ['in.mp4', 'out.mp4', '--blur-background=0.8']
    """
    completed: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*completed, argument, *rest]
        if argument == BLUR_OPTION:
            has_number = bool(rest and NUMBER.fullmatch(rest[0]))
            argument = f"{BLUR_OPTION}={rest.pop(0) if has_number else USUAL_BLUR}"
        completed.append(argument)
    return completed


class _Termination:
    """Turns SIGTERM into a Ctrl-C, and remembers that it came."""

    def __init__(self) -> None:
        self.came = False

    def __enter__(self) -> _Termination:
        # Only the main thread may set handlers; in another one there is no signal to meet either.
        self._is_set = threading.current_thread() is threading.main_thread()
        if self._is_set:
            self._before = signal.signal(signal.SIGTERM, self._interrupt)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._is_set:
            signal.signal(signal.SIGTERM, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        signal.default_int_handler(number, frame)


def _forget_stdout() -> None:
    """Whoever read our output has left; what is still buffered must not raise at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
