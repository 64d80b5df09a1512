"""Whether anyone looks at the virtual camera: by its driver's word, or by the list of processes."""

from __future__ import annotations

import errno
import os
import struct
import sys
from pathlib import Path

import pytest

from humanseg.live import demand
from humanseg.live.demand import AlwaysWanted, ClientUsage, OpenElsewhere, open_demand
from humanseg.testing import FakeClock

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's virtual cameras")

# What a C compiler prints for the macros of linux/videodev2.h, on 64 bits.
SUBSCRIBE, DEQUEUE, EVENT_SIZE = 0x4020565A, 0x80885659, 136
PRIVATE, SEND_INITIAL = 0x0800_0000, 1
NEW, OLD = PRIVATE + 0x08E0_0000 + 1, PRIVATE


class Driver:
    """Keeps the events of a device that is an ordinary file, as the kernel does."""

    def __init__(self, *events: int) -> None:
        self.events = events
        self.readers = 0
        self.is_gone = False
        self.subscribed: list[int] = []
        self.queue: list[tuple[int, int]] = []

    def tell(self, readers: int, event: int | None = None) -> None:
        self.readers = readers
        self.queue.append((self.events[0] if event is None else event, readers))

    def __call__(self, device: int, number: int, data: bytearray) -> int:
        os.fstat(device)
        if self.is_gone:
            raise OSError(errno.ENODEV, "No such device")
        if number == SUBSCRIBE:
            event, identity, flags = struct.unpack_from("=III", data)
            assert (identity, flags) == (0, SEND_INITIAL)
            if event not in self.events:
                raise OSError(errno.EINVAL, "Invalid argument")
            self.subscribed.append(event)
            self.queue = [(event, self.readers)]
            return 0
        assert number == DEQUEUE
        assert len(data) == EVENT_SIZE
        if not self.queue:
            raise OSError(errno.ENOENT, "No such file or directory")
        event, readers = self.queue.pop(0)
        struct.pack_into("=I4xI", data, 0, event, readers)
        return 0


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "video10"
    path.touch()
    return path


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@linux
@pytest.mark.parametrize("event", [NEW, OLD])
def test_readers_that_come_and_go(device: Path, clock: FakeClock, event: int) -> None:
    driver = Driver(event)
    with ClientUsage(device, ioctl=driver, clock=clock) as usage:
        assert driver.subscribed == [event]
        assert not usage.wanted()
        for readers, wanted in [(1, True), (2, True), (1, True), (0, False), (1, True)]:
            driver.tell(readers)
            assert usage.wanted() is wanted
            assert usage.wanted() is wanted
        # Of several changes since the last look the last one counts.
        driver.tell(0)
        driver.tell(1)
        driver.tell(0)
        assert not usage.wanted()


@linux
def test_who_reads_already_is_known_at_once(device: Path, clock: FakeClock) -> None:
    driver = Driver(NEW)
    driver.readers = 1
    with ClientUsage(device, ioctl=driver, clock=clock) as usage:
        assert usage.wanted()


@linux
def test_until_the_driver_says_something_the_camera_is_wanted(
    device: Path, clock: FakeClock
) -> None:
    driver = Driver(NEW)
    with ClientUsage(device, ioctl=driver, clock=clock) as usage:
        driver.queue = [(4, 0)]  # an event of another kind
        assert usage.wanted()


@linux
def test_the_newer_event_is_preferred(device: Path, clock: FakeClock) -> None:
    driver = Driver(OLD, NEW)
    with ClientUsage(device, ioctl=driver, clock=clock) as usage:
        assert driver.subscribed == [NEW]
        driver.tell(1, NEW)
        assert usage.wanted()
        driver.tell(0, OLD)
        assert usage.wanted()


@linux
def test_an_event_that_was_lost_is_made_good(device: Path, clock: FakeClock) -> None:
    driver = Driver(NEW)
    with ClientUsage(device, ioctl=driver, clock=clock) as usage:
        assert not usage.wanted()
        driver.readers = 1  # and no event
        assert not usage.wanted()
        clock.skip(demand.RENEW_SECONDS)
        assert usage.wanted()


@linux
def test_a_device_that_is_away_keeps_the_last_answer(device: Path, clock: FakeClock) -> None:
    driver = Driver(NEW)
    with ClientUsage(device, ioctl=driver, clock=clock) as usage:
        driver.tell(1)
        assert usage.wanted()
        driver.is_gone = True
        for _ in range(5):
            clock.skip(0.5)
            assert usage.wanted()
        device.unlink()
        clock.skip(2)
        assert usage.wanted()
        device.touch()
        driver.is_gone, driver.readers = False, 0
        clock.skip(demand.RETRY_SECONDS)
        assert not usage.wanted()
        driver.tell(1)
        assert usage.wanted()


@linux
def test_a_device_that_is_away_is_not_asked_all_the_time(device: Path, clock: FakeClock) -> None:
    driver = Driver(NEW)
    asked: list[int] = []

    def ioctl(descriptor: int, number: int, data: bytearray) -> int:
        asked.append(number)
        return driver(descriptor, number, data)

    with ClientUsage(device, ioctl=ioctl, clock=clock) as usage:
        usage.wanted()
        driver.is_gone = True
        usage.wanted()
        asked.clear()
        for _ in range(100):
            clock.skip(0.1)
            usage.wanted()
    assert len(asked) <= 2 * 10


@linux
def test_an_old_driver_tells_nothing(device: Path, clock: FakeClock) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError, match="Invalid argument"):
        ClientUsage(device, ioctl=Driver(), clock=clock)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@linux
def test_a_day_leaves_no_descriptor(device: Path, clock: FakeClock) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    driver = Driver(NEW)
    usage = ClientUsage(device, ioctl=driver, clock=clock)
    for number in range(1000):
        driver.is_gone = number % 7 == 0
        clock.skip(86.4)
        usage.wanted()
        assert len(os.listdir("/proc/self/fd")) <= before + 1  # noqa: PTH208
    usage.close()
    usage.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# --- by the list of processes --------------------------------------------------------------------


class Processes:
    """A folder as /proc is."""

    def __init__(self, folder: Path, device: Path) -> None:
        self.folder, self.device = folder / "proc", device
        self.folder.mkdir()
        (self.folder / "cpuinfo").touch()

    def start(self, number: int, *files: Path) -> None:
        descriptors = self.folder / str(number) / "fd"
        descriptors.mkdir(parents=True)
        for index, path in enumerate(files):
            (descriptors / str(index)).symlink_to(path)

    def opens(self, number: int) -> None:
        (self.folder / str(number) / "fd" / "9").symlink_to(self.device)

    def closes(self, number: int) -> None:
        (self.folder / str(number) / "fd" / "9").unlink()


@pytest.fixture
def processes(tmp_path: Path, device: Path) -> Processes:
    listed = Processes(tmp_path, device)
    listed.start(100, tmp_path / "text")
    listed.start(os.getpid(), device)
    (listed.folder / "200").mkdir()  # of another user
    return listed


@linux
def test_programs_that_open_and_close(processes: Processes, device: Path, clock: FakeClock) -> None:
    opened = OpenElsewhere(device, processes=processes.folder, clock=clock, cost=lambda: 0.0)
    assert not opened.wanted()
    processes.opens(100)
    clock.skip(demand.SCAN_SECONDS)
    assert opened.wanted()
    processes.closes(100)
    clock.skip(demand.SCAN_SECONDS)
    assert not opened.wanted()


@linux
@pytest.mark.parametrize(("cost", "looks"), [(0.0, 34), (0.005, 34), (0.05, 10), (0.5, 1)])
def test_looking_costs_a_twentieth_of_a_core_at_most(
    processes: Processes,
    device: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    cost: float,
    looks: int,
) -> None:
    times: list[float] = []
    used = 0.0

    def is_in_use(path: Path, *, processes: Path) -> bool:
        nonlocal used
        times.append(clock())
        used += cost
        return False

    monkeypatch.setattr(demand, "is_in_use", is_in_use)
    opened = OpenElsewhere(device, processes=processes.folder, clock=clock, cost=lambda: used)
    for _ in range(100):
        opened.wanted()
        clock.skip(0.1)
    assert len(times) == pytest.approx(looks, abs=1)


@linux
def test_a_real_program_is_seen_within_half_a_second(device: Path) -> None:
    import subprocess
    import time

    opened = OpenElsewhere(device)
    assert not opened.wanted()
    program = "import sys; held = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(device)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"open\n"
        began = time.monotonic()
        while not opened.wanted():
            time.sleep(0.1)
            assert time.monotonic() - began < 60
        reader.communicate()
    while opened.wanted():
        time.sleep(0.1)
        assert time.monotonic() - began < 120


# --- the choice ----------------------------------------------------------------------------------


def test_other_systems_and_back_ends_are_always_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_demand("memory"), AlwaysWanted)
    monkeypatch.setattr(sys, "platform", "win32")
    with open_demand("/dev/video10") as always:
        assert always.wanted()


@linux
def test_the_drivers_word_is_preferred(monkeypatch: pytest.MonkeyPatch, device: Path) -> None:
    monkeypatch.setattr(demand, "DEVICES", device.parent)
    with open_demand(str(device), ioctl=Driver(NEW)) as chosen:
        assert isinstance(chosen, ClientUsage)
    with open_demand(str(device), ioctl=Driver()) as chosen:
        assert isinstance(chosen, OpenElsewhere)
