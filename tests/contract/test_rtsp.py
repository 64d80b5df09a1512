"""Cameras of the network, which are asked by RTSP and send RTP over the same connection."""

from __future__ import annotations

import socket
import struct
import threading
from base64 import b64encode
from collections.abc import Callable
from fractions import Fraction
from itertools import islice, pairwise

import av
import numpy as np
import pytest

from humanseg.errors import SourceError
from humanseg.sources.newest import NewestFrame
from humanseg.sources.reopened import Reopened
from humanseg.sources.stream import StreamSource

PATIENT = 60.0
HEIGHT, WIDTH, RATE = 48, 64, 25
CODING = {"tune": "zerolatency", "preset": "ultrafast", "g": "12", "crf": "5"}
SESSION = """\
v=0
o=- 0 0 IN IP4 127.0.0.1
s=camera
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
""".replace("\n", "\r\n")


class NetworkCamera:
    """An RTSP server with one clip for each client, one client after the other.

    It sends no faster than `rate` pictures a second and then hangs up.
    """

    def __init__(self, picture: Callable[..., np.ndarray], *clips: int, login: str = "") -> None:
        self._picture, self._clips, self._login = picture, list(clips), login
        self._server = socket.create_server(("127.0.0.1", 0))
        self._is_over = threading.Event()
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}/live"
        self.asked: list[str] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> NetworkCamera:
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(PATIENT)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client:
                try:
                    if self._agree(client):
                        self._play(client, self._clips.pop(0))
                except (OSError, ValueError):
                    pass  # the client has gone

    def _agree(self, client: socket.socket) -> bool:
        """Answer until the client wants to see something; False when it leaves before."""
        stream = client.makefile("rb")
        while not self._is_over.is_set():
            head = stream.readline().decode().split()
            if not head:
                return False
            lines = {}
            while line := stream.readline().decode().strip():
                name, value = line.split(":", 1)
                lines[name.lower()] = value.strip()
            self.asked.append(head[0])
            allowed = f"Basic {b64encode(self._login.encode()).decode()}"
            if self._login and lines.get("authorization") != allowed:
                answer, body = '401 Unauthorized\r\nWWW-Authenticate: Basic realm="camera"', ""
            elif not self._clips:
                answer, body = "404 Not Found", ""
            elif head[0] == "DESCRIBE":
                answer, body = "200 OK\r\nContent-Type: application/sdp", SESSION
            elif head[0] == "SETUP":
                assert "RTP/AVP/TCP" in lines["transport"]
                answer, body = f"200 OK\r\nTransport: {lines['transport']}\r\nSession: 1", ""
            else:
                answer, body = "200 OK\r\nSession: 1\r\nPublic: DESCRIBE, SETUP, PLAY", ""
            client.sendall(
                f"RTSP/1.0 {answer}\r\nCSeq: {lines['cseq']}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            if head[0] == "PLAY" and answer.startswith("200"):
                return True
        return False

    def _play(self, client: socket.socket, frames: int) -> None:
        """Have FFmpeg cut the clip into RTP packets, and send these on."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
            packets.bind(("127.0.0.1", 0))
            packets.settimeout(0.05)
            port = packets.getsockname()[1]
            with av.open(f"rtp://127.0.0.1:{port}?pkt_size=1200", "w", format="rtp") as muxer:
                stream = muxer.add_stream("libx264", rate=RATE, options=CODING)
                stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
                for index in range(frames):
                    frame = av.VideoFrame.from_ndarray(self._picture(index), format="bgr24")
                    frame.pts, frame.time_base = index, Fraction(1, RATE)
                    muxer.mux(stream.encode(frame))
                    self._forward(packets, client)
                    if self._is_over.wait(1 / RATE):
                        return

    @staticmethod
    def _forward(packets: socket.socket, client: socket.socket) -> None:
        while True:
            try:
                packet = packets.recv(2048)
            except TimeoutError:
                return
            is_control = 192 <= packet[1] <= 223
            client.sendall(struct.pack(">cBH", b"$", int(is_control), len(packet)) + packet)
            if packet[1] & 0x80 and not is_control:
                return  # the last packet of a picture


def test_a_camera_of_the_network(
    draw: Callable[..., np.ndarray], index_of: Callable[[np.ndarray], int]
) -> None:
    with (
        NetworkCamera(draw, 40) as camera,
        StreamSource(f"rtsp://{camera.address}", open_seconds=PATIENT) as source,
    ):
        assert (source.info.height, source.info.width) == (HEIGHT, WIDTH)
        assert not source.needs_pace
        frames = list(islice(source, 20))
    indexes = [index_of(frame.pixels) for frame in frames]
    assert indexes == pytest.approx(range(indexes[0], indexes[0] + 20), abs=1)
    steps = [float(later.time - earlier.time) for earlier, later in pairwise(frames)]
    # A camera tells no time of its first picture before its first report comes.
    assert steps[1:] == pytest.approx([1 / RATE] * 18, abs=0.001)
    assert camera.asked[:2] == ["OPTIONS", "DESCRIBE"]
    assert "PLAY" in camera.asked


def test_a_camera_of_the_network_that_hangs_up_comes_back(
    draw: Callable[..., np.ndarray], index_of: Callable[[np.ndarray], int]
) -> None:
    with NetworkCamera(draw, 15, 60) as camera:
        source = Reopened(
            lambda: StreamSource(f"rtsp://{camera.address}", open_seconds=PATIENT), pauses=(0.01,)
        )
        with NewestFrame(source) as newest:
            last = 0
            while last <= 20:  # which the first clip has no picture of
                frame = newest.take(PATIENT)
                assert frame is not None
                last = index_of(frame.pixels)
    assert source.losses == 1
    assert camera.asked.count("PLAY") == 2


def test_a_camera_of_the_network_that_wants_a_password(
    draw: Callable[..., np.ndarray],
) -> None:
    with NetworkCamera(draw, 40, login="me:secret") as camera:
        with StreamSource(f"rtsp://me:secret@{camera.address}", open_seconds=PATIENT) as source:
            assert source.info.origin == f"rtsp://me:***@{camera.address}"
            assert len(list(islice(source, 3))) == 3
        with pytest.raises(SourceError) as caught:
            StreamSource(f"rtsp://me:wrong@{camera.address}", open_seconds=PATIENT)
    line = str(caught.value)
    assert "password" in line
    assert "wrong" not in line
    assert "\n" not in line


def test_a_camera_of_the_network_that_knows_no_such_stream(
    draw: Callable[..., np.ndarray],
) -> None:
    with (
        NetworkCamera(draw) as camera,
        pytest.raises(SourceError, match=r"rtsp://127.0.0.1:\d+/live") as caught,
    ):
        StreamSource(f"rtsp://{camera.address}", open_seconds=PATIENT)
    assert caught.value.hint
