"""Streams over real sockets: TCP, UDP and HTTP on the loopback, cut off and back again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from humanseg.errors import SourceError, SourceLost
from humanseg.media.av_gate import without_password
from humanseg.sources.camera import CameraSource
from humanseg.sources.live import open_live
from humanseg.sources.newest import NewestFrame
from humanseg.sources.playback import Paced
from humanseg.sources.reopened import Reopened
from humanseg.sources.stream import StreamSource

PATIENT = 60.0
"""Seconds that only a machine which hangs needs."""


class Sender:
    """Sends bytes to each client that connects, and then hangs up, or keeps silent."""

    def __init__(self, *contents: bytes, hangs_up: bool = True) -> None:
        self._contents = list(contents)
        self._hangs_up = hangs_up
        self._server = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self.connections = 0
        self.url = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for content in self._contents:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._clients.append(client)
            try:
                client.sendall(content)
            except OSError:
                continue
            if self._hangs_up:
                client.close()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@pytest.fixture
def clip(make_video: Callable[..., Path]) -> Path:
    """60 frames with frames that depend on later ones, as few cameras but many encoders send."""
    return make_video("clip.ts", frames=60, options={"bf": "3", "g": "12"})


def test_all_frames_in_order_with_their_times(
    clip: Path, index_of: Callable[[np.ndarray], int]
) -> None:
    with Sender(clip.read_bytes()) as sender, StreamSource(sender.url) as source:
        assert (source.info.height, source.info.width, source.info.rate) == (48, 64, 25)
        assert source.info.duration is None
        assert not source.needs_pace
        frames = list(source)
    assert [index_of(frame.pixels) for frame in frames] == list(range(60))
    assert [frame.index for frame in frames] == list(range(60))
    assert [float(frame.time) for frame in frames] == pytest.approx(
        [index / 25 for index in range(60)]
    )
    assert all(frame.captured_at is not None for frame in frames)
    assert not np.shares_memory(frames[0].pixels, frames[1].pixels)


def test_a_stream_over_udp(clip: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data, stop = clip.read_bytes(), threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not stop.is_set():
                for start in range(0, len(data), 1316):
                    out.sendto(data[start : start + 1316], ("127.0.0.1", port))
                    stop.wait(0.002)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        url = f"udp://127.0.0.1:{port}"
        with StreamSource(url, open_seconds=PATIENT, read_seconds=PATIENT) as source:
            # The file is sent again and again: its clock goes back each time, ours does not.
            frames = list(islice(source, 150))
    finally:
        stop.set()
        sender.join(10)
    assert {(frame.height, frame.width) for frame in frames} == {(48, 64)}
    assert all(later.time > earlier.time for earlier, later in pairwise(frames))


def test_a_stream_that_breaks_off_comes_back(
    clip: Path, index_of: Callable[[np.ndarray], int]
) -> None:
    data = clip.read_bytes()
    with Sender(data[: len(data) // 2], data) as sender:
        source = Reopened(lambda: StreamSource(sender.url), pauses=(0.01,))
        with source:
            frames = list(islice(source, 70))
        assert sender.connections == 2
    first = next(index for index, frame in enumerate(frames) if index and _is_back(frames, index))
    assert 10 < first < 60
    assert [index_of(frame.pixels) for frame in frames[first : first + 10]] == list(range(10))
    assert all(later.time > earlier.time for earlier, later in pairwise(frames))
    assert source.losses == 1
    assert isinstance(source.error, SourceLost)


def _is_back(frames: list, index: int) -> bool:
    """Whether the first picture is shown again."""
    return bool(np.array_equal(frames[index].pixels, frames[0].pixels))


def test_a_stream_that_falls_silent_is_lost(clip: Path) -> None:
    given: list[int] = []
    with (
        Sender(clip.read_bytes(), hangs_up=False) as sender,
        StreamSource(sender.url, read_seconds=0.3) as source,
        pytest.raises(SourceLost, match="stopped sending"),
    ):
        given.extend(frame.index for frame in source)
    assert len(given) > 40


@pytest.fixture
def damaged_clip(clip: Path, tmp_path: Path) -> Path:
    """Ten packets of the clip, and 600 that nobody can decode."""
    path = tmp_path / "damaged.ts"
    with av.open(str(clip)) as good, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(good.streams.video[0])
        for packet in islice(good.demux(video=0), 10):
            packet.stream = stream
            out.mux(packet)
            last = packet.dts
        for number in range(1, 601):
            packet = av.Packet(b"\0\0\0\1\x41" + bytes([255]) * 40)
            packet.stream, packet.time_base = stream, Fraction(1, 90_000)
            packet.dts = packet.pts = last + number * 3600
            out.mux(packet)
    return path


def test_packets_without_pictures_are_a_loss(damaged_clip: Path) -> None:
    given: list[int] = []
    with (
        Sender(damaged_clip.read_bytes(), hangs_up=False) as sender,
        StreamSource(sender.url, read_seconds=PATIENT) as source,
        pytest.raises(SourceLost, match="no picture that can be decoded"),
    ):
        given.extend(frame.index for frame in source)
    assert given


def test_pictures_that_take_too_long_to_be_decoded_are_a_loss(damaged_clip: Path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.5
        return now[0]

    with (
        Sender(damaged_clip.read_bytes(), hangs_up=False) as sender,
        StreamSource(sender.url, open_seconds=PATIENT, read_seconds=30, clock=clock) as source,
        pytest.raises(SourceLost, match="no picture that can be decoded"),
    ):
        list(source)
    assert now[0] < 100  # not the 600 half seconds of all packets


def test_close_ends_a_read_under_way(clip: Path) -> None:
    with Sender(clip.read_bytes(), hangs_up=False) as sender:
        newest = NewestFrame(StreamSource(sender.url, read_seconds=0.5))
        while newest.take(0.2) is not None:
            pass
        newest.close()
        assert newest.ended
    names = [thread.name for thread in threading.enumerate()]
    assert "humanseg-read" not in names


@contextmanager
def http(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def test_a_file_over_http_is_paced(
    make_video: Callable[..., Path], index_of: Callable[[np.ndarray], int]
) -> None:
    path = make_video("clip.mp4", frames=10, container_options={"movflags": "+faststart"})
    with http(partial(Files, directory=str(path.parent))) as address:
        source = open_live(f"{address}/clip.mp4")
        assert isinstance(source, Paced)
        with source:
            assert source.info.duration == pytest.approx(0.4)
            assert [index_of(frame.pixels) for frame in source] == list(range(10))


def test_pictures_over_http_as_phones_send_them(
    draw: Callable[..., np.ndarray], index_of: Callable[[np.ndarray], int]
) -> None:
    indices: list[int] = []

    class Phone(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            for index in range(40):
                data = cv2.imencode(".jpg", draw(index))[1].tobytes()
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
                self.wfile.write(head.encode() + b"\r\n" + data + b"\r\n")

        def log_message(self, *arguments: object) -> None:
            pass

    with http(Phone) as address, StreamSource(f"{address}/video") as source:
        assert not source.needs_pace
        # Without its last lines a reply of unknown length counts as broken off.
        with pytest.raises(SourceLost, match="broke off"):
            indices.extend(index_of(frame.pixels) for frame in source)
    assert indices == list(range(len(indices)))
    assert len(indices) >= 39


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("missing.mp4", 404, "has no such stream"),
        ("locked", 401, "asks for a name and a password"),
        ("forbidden", 403, "refuses access"),
        ("text", 200, "sends no video"),
    ],
)
def test_refusals_over_http(path: str, code: int, words: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = b"this is no video at all" * 50
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: object) -> None:
            pass

    with http(Refusing) as address:
        url = address.replace("//", "//me:secret@")
        with pytest.raises(SourceError, match=words) as caught:
            StreamSource(f"{url}/{path}")
    assert not isinstance(caught.value, SourceLost)
    assert "secret" not in str(caught.value)
    assert caught.value.hint


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError, match="refuses the connection"):
        StreamSource(f"rtsp://127.0.0.1:{port}/live")


def test_nothing_comes() -> None:
    with (
        Sender(b"", hangs_up=False) as sender,
        pytest.raises(SourceError, match="does not answer") as caught,
    ):
        StreamSource(sender.url, open_seconds=0.3)
    assert not isinstance(caught.value, SourceLost)


def test_an_unknown_scheme() -> None:
    with pytest.raises(SourceError, match="kind this FFmpeg cannot open"):
        open_live("carrier-pigeon://roof")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:s:e@cret@host/a", "rtsp://me:***@host/a"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("rtsp://host/a?password=no:no@x", "rtsp://host/a?password=no:no@x"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


# --- one word for all ----------------------------------------------------------------------------


def test_a_file_as_camera_goes_on_for_ever(
    make_video: Callable[..., Path], index_of: Callable[[np.ndarray], int]
) -> None:
    path = make_video(frames=5)
    with open_live(str(path)) as source:
        frames = list(islice(source, 12))
    assert [index_of(frame.pixels) for frame in frames] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    stamps = [frame.captured_at for frame in frames]
    assert stamps[-1] - stamps[0] >= 11 / 25 - 0.001  # never faster than its own pace
    assert all(stamp <= time.monotonic() for stamp in stamps)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_file_that_ends(make_video: Callable[..., Path], form: str) -> None:
    path = make_video("a clip.mp4", frames=4)
    word = form.format(path).replace(" ", "%20") if "://" in form else form.format(path)
    with open_live(word, loop=False) as source:
        assert len(list(source)) == 4


def test_a_path_without_a_file() -> None:
    with pytest.raises(SourceError, match="neither a file nor a camera"):
        open_live("no/such/clip.mp4")


def test_other_words_are_cameras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[object, dict[str, object]]] = []

    class Asked(CameraSource):
        def __init__(self, camera: object, **options: object) -> None:
            asked.append((camera, options))

        def close(self) -> None:
            pass

    monkeypatch.setattr("humanseg.sources.live.CameraSource", Asked)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1").touch()  # a number means a camera all the same
    for word in (0, "1", "/dev/video7", "HD Webcam"):
        open_live(word, size=(720, 1280), rate=30, pixel_format="mjpg")
    assert [camera for camera, _ in asked] == [0, "1", "/dev/video7", "HD Webcam"]
    assert asked[0][1] == {"size": (720, 1280), "rate": 30, "pixel_format": "mjpg"}
