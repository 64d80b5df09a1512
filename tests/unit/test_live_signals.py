"""Signals become commands, wherever the program is when they come."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from humanseg.control.controls import Controls
from humanseg_cli.live_signals import COMMANDS, LiveSignals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has few signals")


def running() -> LiveSignals:
    signals = LiveSignals()
    assert signals.commands() == []
    return signals


@pytest.mark.parametrize(
    ("number", "command"),
    [
        (signal.SIGINT, "quit"),
        (signal.SIGTERM, "quit"),
        (signal.SIGHUP, "reload"),
        (signal.SIGUSR1, "effect toggle"),
    ],
)
def test_a_signal_is_a_command_once(number, command):
    with running() as signals:
        signal.raise_signal(number)
        assert signals.commands() == [command]
        assert signals.commands() == []


def test_all_of_them_are_commands_that_exist():
    controls = Controls(on_quit=lambda: None, on_reload=lambda: None)
    assert all(controls.apply(line).ok for line in COMMANDS.values())


def test_several_come_in_order():
    with running() as signals:
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR1):
            signal.raise_signal(number)
        assert signals.commands() == ["effect toggle", "reload", "effect toggle"]


@pytest.mark.parametrize("numbers", [(signal.SIGINT,) * 2, (signal.SIGTERM, signal.SIGINT)])
def test_who_asks_twice_to_quit_is_not_kept_waiting(numbers):
    with running() as signals:
        signal.raise_signal(numbers[0])
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(numbers[1])
        assert signals.commands() == ["quit"]


def test_before_it_runs_a_wish_to_quit_is_met_at_once_and_others_wait():
    with LiveSignals() as signals:
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert signals.commands() == ["effect toggle", "reload"]


def test_before_it_runs_who_had_a_handler_is_heard():
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with LiveSignals(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_everything_is_as_before_afterwards():
    numbers = [getattr(signal, name) for name in COMMANDS if hasattr(signal, name)]
    before = [signal.getsignal(number) for number in numbers]
    with LiveSignals():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before


def test_in_another_thread_nothing_is_set():
    before = signal.getsignal(signal.SIGUSR1)
    inside: list[object] = []

    def run() -> None:
        with LiveSignals() as signals:
            inside.extend([signal.getsignal(signal.SIGUSR1), signals.commands()])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == [before, []]
