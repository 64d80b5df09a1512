"""Keys of the preview and of the terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from humanseg.control.controls import Controls
from humanseg.look.looks import Look
from humanseg_cli.keys import KEYS, SHOWN_KEYS, TerminalKeys, commands, of_preview

PATIENCE = 20.0

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no terminals like these")


def test_every_key_is_a_command_that_exists():
    controls = Controls(Look(backgrounds=("blur", "green")), on_quit=lambda: None)
    for letter in KEYS:
        before = controls.look
        assert all(controls.apply(line).ok for line in commands(letter))
        assert controls.look != before or letter == "q"


def test_the_line_of_keys_names_them_all():
    shown = SHOWN_KEYS.replace("+/-", "+ -").split()
    assert set(KEYS) - {"="} <= set(shown)


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("", []),
        ("bb", ["effect toggle"] * 2),
        ("M+-", ["mirror toggle", "strength up", "strength down"]),
        ("xyz \t\r\n\x00ü", []),
        ("\x1b[A\x1b[B", []),
        ("f\x1bOQ", ["freeze toggle"]),
    ],
)
def test_letters(letters, expected):
    assert commands(letters) == expected


@pytest.mark.parametrize("key", [-1, 0, 255, 0x10FF51, 1 << 40])
def test_keys_of_a_window_without_a_letter_do_nothing(key):
    assert of_preview(key) == []


def test_preview_and_terminal_say_the_same():
    for letter in KEYS:
        assert of_preview(ord(letter)) == commands(letter)


class NoTerminal:
    """What stdin may be: closed, without a file, or a pipe."""

    def __init__(self, fault: Exception | None = None) -> None:
        self._fault = fault

    def isatty(self) -> bool:
        if self._fault is not None:
            raise self._fault
        return False

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize("stdin", [None, NoTerminal(), NoTerminal(ValueError("closed"))])
def test_without_a_terminal_there_are_no_keys_and_nothing_is_set(monkeypatch, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    before = signal.getsignal(signal.SIGINT)
    with TerminalKeys() as keys:
        assert keys.read() == ""
        assert not keys.is_gone
        assert signal.getsignal(signal.SIGINT) is before


SHELL = """
import os, signal, subprocess, sys, termios

terminal = os.open(sys.argv[1], os.O_RDWR)  # the first one that a session opens is its own
for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)  # whoever began the tests may have ignored them
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the job, too: the live command has a handler

def say(*words):
    print(*words, flush=True)

def is_plain():
    flags = termios.tcgetattr(terminal)[3]
    return bool(flags & termios.ICANON and flags & termios.ECHO)

job = subprocess.Popen(
    [sys.executable, "-c", sys.argv[2]], stdin=terminal, process_group=0, text=True,
)
for line in sys.stdin:
    if line == "front\\n":
        os.tcsetpgrp(terminal, job.pid)
    elif line == "back\\n":
        os.tcsetpgrp(terminal, os.getpgrp())
    elif line == "plain\\n":
        say("plain" if is_plain() else "unseen")
    elif line == "wait\\n":
        _, status = os.waitpid(job.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            say("stopped by", os.WSTOPSIG(status))
        elif os.WIFSIGNALED(status):
            say("ended by", os.WTERMSIG(status))
        else:
            say("ended with", os.WEXITSTATUS(status))
    else:
        os.kill(job.pid, int(line))
"""
"""A shell of few words: a terminal's own process, with one job."""

JOB = """
import time
from humanseg_cli.keys import TerminalKeys, commands

with TerminalKeys() as keys:
    print("ready", flush=True)
    while not keys.is_gone:
        for command in commands(keys.read()):
            print(command, flush=True)
            if command == "quit":
                raise SystemExit(3)
        time.sleep(0.002)
print("gone", flush=True)
"""


@dataclass
class Terminal:
    """Somebody at a terminal, with a shell and a job that reads keys."""

    descriptor: int
    shell: subprocess.Popen[str]

    def type(self, letters: str) -> None:
        os.write(self.descriptor, letters.encode())

    def tell(self, line: object) -> None:
        assert self.shell.stdin is not None
        self.shell.stdin.write(f"{line}\n")
        self.shell.stdin.flush()

    def hear(self) -> str:
        assert self.shell.stdout is not None
        return self.shell.stdout.readline().rstrip()

    def ask(self, line: object) -> str:
        self.tell(line)
        return self.hear()

    def wait_until(self, said: str) -> None:
        until = time.monotonic() + PATIENCE
        while self.ask("plain") != said:
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    descriptor, job_side = os.openpty()
    name = os.ttyname(job_side)
    shell: Any = subprocess.Popen(
        [sys.executable, "-c", SHELL, name, JOB],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    with shell:
        terminal = Terminal(descriptor, shell)
        assert terminal.hear() == "ready"
        yield terminal
        shell.stdin.close()
        shell.kill()
    os.close(job_side)
    with contextlib.suppress(OSError):
        os.close(descriptor)


def in_front(terminal: Terminal) -> Terminal:
    terminal.tell("front")
    terminal.wait_until("unseen")
    return terminal


@unix
def test_letters_are_read_at_once_and_unseen_and_the_terminal_is_given_back(terminal):
    in_front(terminal)
    for letter in ("b", "n", "+", "-"):
        terminal.type(letter)
        assert terminal.hear() == KEYS[letter]
    terminal.type("q")
    assert terminal.hear() == "quit"
    assert terminal.ask("wait") == "ended with 3"
    assert terminal.ask("plain") == "plain"
    os.set_blocking(terminal.descriptor, False)
    with pytest.raises(BlockingIOError):
        os.read(terminal.descriptor, 100)


@unix
def test_stopped_by_ctrl_z_it_gives_the_terminal_back_and_takes_it_again(terminal):
    in_front(terminal)
    for _ in range(2):
        terminal.type("\x1a")
        assert terminal.ask("wait") == f"stopped by {int(signal.SIGTSTP)}"
        assert terminal.ask("plain") == "plain"
        terminal.tell("back")
        terminal.tell(int(signal.SIGCONT))
        time.sleep(0.05)
        # In the background it goes on, and leaves the terminal to the shell.
        assert terminal.ask("plain") == "plain"
        in_front(terminal).type("m")
        assert terminal.hear() == "mirror toggle"


@unix
@pytest.mark.parametrize(("letters", "number"), [("\x1c", signal.SIGQUIT), ("\x03", signal.SIGINT)])
def test_ended_by_a_key_it_gives_the_terminal_back(terminal, letters, number):
    in_front(terminal).type(letters)
    assert terminal.ask("wait") in (f"ended by {int(number)}", "ended with 130")
    assert terminal.ask("plain") == "plain"


@unix
def test_in_the_background_it_touches_nothing(terminal):
    time.sleep(0.05)
    assert terminal.ask("plain") == "plain"
    in_front(terminal).type("b")
    assert terminal.hear() == "effect toggle"


@unix
def test_a_terminal_that_is_closed_is_told(terminal):
    in_front(terminal)
    terminal.tell("wait")
    os.close(terminal.descriptor)
    assert [terminal.hear(), terminal.hear()] == ["gone", "ended with 0"]
