import threading
import time

import pytest

from humanseg.channel import Channel, Ended
from humanseg.crew import Crew


def crew_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("humanseg-")]


def test_bodies_run_in_threads_of_their_names_until_all_have_ended():
    seen = []
    crew = Crew()
    bodies = [(name, lambda: seen.append(threading.current_thread().name)) for name in "ab"]
    assert crew.run(bodies) == 0
    assert sorted(seen) == ["humanseg-a", "humanseg-b"]
    assert crew_threads() == []


def test_the_first_error_wakes_all_others_and_is_raised():
    channel = Channel(1)

    def fail():
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        Crew(channel).run([("wait", channel.take), ("fail", fail)])
    assert crew_threads() == []


def test_a_body_that_meets_the_end_of_a_channel_is_no_error():
    def leave():
        raise Ended

    assert Crew().run([("leave", leave)]) == 0


def test_waking_has_the_tick_called_long_before_it_is_due():
    channel, ticks = Channel(1), []
    crew = Crew(channel)

    def work():
        crew.wake()
        channel.take()

    def tick():
        ticks.append(time.monotonic())
        channel.finish()

    began = time.monotonic()
    crew.run([("work", work)], on_tick=tick, tick=60)
    assert len(ticks) >= 1
    assert ticks[0] - began < 30


def test_the_first_ctrl_c_asks_and_the_second_one_aborts():
    channel, asked, presses = Channel(1), [], []

    def tick():
        if len(presses) < 2:
            presses.append(True)
            raise KeyboardInterrupt

    crew = Crew(channel)
    interrupts = crew.run(
        [("wait", channel.take)], on_tick=tick, on_interrupt=lambda: asked.append(True), tick=0.01
    )
    assert interrupts == 2
    assert asked == [True]


def test_a_reader_that_hangs_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr("humanseg.crew.READER_PATIENCE", 0.05)
    hanging = threading.Event()
    began = time.monotonic()
    Crew().run([("work", lambda: None)], reader=lambda: hanging.wait(20) and None)
    assert time.monotonic() - began < 10
    hanging.set()
