import threading
import time

import pytest

from humanseg.channel import PATIENCE, Channel, Ended


def test_items_come_out_in_order_and_in_batches():
    channel = Channel(8)
    for item in range(5):
        channel.put(item)
    channel.finish()
    assert list(channel.batches(2)) == [[0, 1], [2, 3], [4]]


def test_a_batch_waits_until_it_is_full():
    channel = Channel(4)
    batches = []
    reader = threading.Thread(target=lambda: batches.extend(channel.batches(3)))
    reader.start()
    for item in range(4):
        channel.put(item)
        if item < 2:
            assert batches == []
    channel.finish()
    reader.join(2)
    assert batches == [[0, 1, 2], [3]]


def test_items_do_not_wait_for_ever_for_others():
    channel = Channel(4)
    channel.put("alone")
    began = time.monotonic()
    assert next(channel.batches(3)) == ["alone"]
    assert PATIENCE <= time.monotonic() - began < 20 * PATIENCE


def test_a_full_channel_makes_put_wait_until_something_is_taken():
    channel = Channel(1)
    channel.put("first")
    done = threading.Event()
    thread = threading.Thread(target=lambda: (channel.put("second"), done.set()))
    thread.start()
    assert not done.wait(0.05)
    assert channel.take() == ["first"]
    assert done.wait(2)
    thread.join()
    assert channel.take() == ["second"]


@pytest.mark.parametrize("end", ["finish", "abort"])
def test_an_end_wakes_a_waiting_put(end):
    channel = Channel(1)
    channel.put(0)
    ended = []

    def put():
        try:
            channel.put(1)
        except Ended:
            ended.append(True)

    thread = threading.Thread(target=put)
    thread.start()
    getattr(channel, end)()
    thread.join(2)
    assert ended == [True]


def test_finish_gives_out_what_is_inside_and_abort_does_not():
    finished, aborted = Channel(4), Channel(4)
    for channel in (finished, aborted):
        channel.put(1)
    finished.finish()
    aborted.abort()
    assert list(finished) == [1]
    with pytest.raises(Ended):
        aborted.take()


def test_put_after_finish_is_refused():
    channel = Channel(4)
    channel.finish()
    with pytest.raises(Ended):
        channel.put(1)


def test_waiting_for_room_lasts_until_the_item_is_taken():
    channel = Channel(1)
    channel.wait_for_room()
    channel.put("frame")
    passed = threading.Event()
    waiting = threading.Thread(target=lambda: (channel.wait_for_room(), passed.set()))
    waiting.start()
    assert not passed.wait(0.05)
    assert channel.take() == ["frame"]
    assert passed.wait(5)
    waiting.join()


@pytest.mark.parametrize("end", ["finish", "abort"])
def test_waiting_for_room_ends_with_the_channel(end):
    channel = Channel(1)
    channel.put("frame")
    ended = threading.Event()

    def wait():
        with pytest.raises(Ended):
            channel.wait_for_room()
        ended.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    getattr(channel, end)()
    assert ended.wait(5)
    waiting.join()
