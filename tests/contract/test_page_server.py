"""The page's server over real sockets: who is let in, what is taken in, and what it costs."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'ui' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'ui' is not installed")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from humanseg.control.controls import Controls
from humanseg.errors import InputError, SettingsError, SinkError
from humanseg.frames import Frame
from humanseg.sinks.watched import WatchedSink
from humanseg.web import file_jobs, file_routes, visitor
from humanseg.web.app import MOST_VISITORS
from humanseg.web.broadcast import LARGEST
from humanseg.web.gallery import Gallery
from humanseg.web.live_side import LiveSide
from humanseg.web.server import PageServer

PATIENCE = 20.0
SAMPLES = Path(__file__).parent.parent.parent / "samples"


class Client:
    """Requests to a page, with its token unless told otherwise."""

    def __init__(self, server: PageServer) -> None:
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#token=(\S+)", server.address)
        assert found is not None
        self.port, self.token = int(found[1]), found[2]

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Status, body (JSON taken apart) and headers."""
        token = self.token if token is None else token
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            data = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(data) if is_json else data, answer.headers

    def socket(
        self, *, token: str | None = None, origin: str | None = None, **more: Any
    ) -> ClientConnection:
        token = self.token if token is None else token
        return connect(
            f"ws://127.0.0.1:{self.port}/api/events",
            subprotocols=["humanseg", f"token.{token}"],
            origin=f"http://127.0.0.1:{self.port}" if origin is None else origin,
            proxy=None,
            open_timeout=PATIENCE,
            **more,
        )


class Feed:
    """Writes moving frames into a sink, thirty a second, as a session does."""

    RATE = 30

    def __init__(self, sink: WatchedSink) -> None:
        self.sink = sink
        self.count = 0
        self.writes: list[float] = []
        rows, columns = np.mgrid[0:720, 0:1280]
        self.pixels = np.stack([rows % 256, columns % 256, rows % 256], axis=2).astype(np.uint8)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(max(0.0, began + self.count / self.RATE - time.monotonic())):
            frame = Frame(self.pixels, self.count, Fraction(self.count, self.RATE))
            before = time.perf_counter()
            self.sink.write(frame)
            self.writes.append(time.perf_counter() - before)
            self.count += 1

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path / "backgrounds")


@pytest.fixture
def side() -> LiveSide:
    return LiveSide(Controls(on_status=lambda: {"camera_state": "live"}), WatchedSink())


@pytest.fixture
def server(side: LiveSide, gallery: Gallery, tmp_path: Path) -> Iterator[PageServer]:
    with PageServer(live=side, gallery=gallery, scratch=tmp_path) as server:
        yield server


@pytest.fixture
def client(server: PageServer) -> Client:
    return Client(server)


def wait_for(truth: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not truth():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.02)


def receive(opened: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a kind; pictures and others are passed over."""
    while True:
        message = opened.recv(timeout=PATIENCE)
        if isinstance(message, str) and json.loads(message)["kind"] == kind:
            return dict(json.loads(message))


def command(opened: ClientConnection, line: str) -> dict[str, Any]:
    opened.send(json.dumps({"command": line, "id": 7}))
    return receive(opened, "reply")


def receive_picture(opened: ClientConnection) -> tuple[int, np.ndarray]:
    while True:
        message = opened.recv(timeout=PATIENCE)
        if isinstance(message, bytes):
            pixels = cv2.imdecode(np.frombuffer(message[4:], np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            return struct.unpack(">I", message[:4])[0], np.asarray(pixels)


def png(height: int = 60, width: int = 80, bgr: Sequence[int] = (200, 30, 20)) -> bytes:
    return cv2.imencode(".png", np.full((height, width, 3), bgr, np.uint8))[1].tobytes()


# Who is let in


def test_it_listens_on_this_machine_alone(server: PageServer) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("token", ["", "wrong", "x" * 5000, "Ünicode".encode().decode("latin-1")])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/backgrounds"),
        ("POST", "/api/backgrounds?name=a.png"),
        ("POST", "/api/files?name=a.mp4"),
        ("POST", "/api/quit"),
        ("GET", "/api/profiles"),
        ("GET", "/api/no-such-thing"),
    ],
)
def test_a_wrong_or_missing_token_is_refused(
    client: Client, method: str, path: str, token: str
) -> None:
    status, answer, _ = client.ask(method, path, token=token)
    assert status == 403
    assert "token" in answer["error"]


def test_a_token_from_another_run_is_refused(client: Client) -> None:
    with PageServer() as other:
        assert client.ask("GET", "/api/profiles", token=Client(other).token)[0] == 403
    assert client.ask("GET", "/api/profiles")[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "https://x"]
)
@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/backgrounds"])
def test_a_foreign_origin_is_refused(client: Client, path: str, origin: str) -> None:
    status, answer, _ = client.ask("GET", path, Origin=origin)
    assert (status, "address" in answer["error"]) == (403, True)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1"]
)
@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/backgrounds", "/download/x"])
def test_a_rebinding_host_is_refused(client: Client, path: str, host: str) -> None:
    assert client.ask("GET", path, Host=host.format(port=client.port))[0] == 403


def test_its_own_names_and_origin_are_let_in(client: Client) -> None:
    for name in ("127.0.0.1", "localhost"):
        address = f"{name}:{client.port}"
        assert client.ask("GET", "/api/backgrounds", Host=address)[0] == 200
        origin = f"http://{address}"
        assert client.ask("GET", "/api/backgrounds", Host=address, Origin=origin)[0] == 200


@pytest.mark.parametrize(
    "change", [{"token": "wrong"}, {"token": ""}, {"origin": "http://evil.example"}]
)
def test_the_socket_refuses_the_same(client: Client, change: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refusal, client.socket(**change):
        pass
    assert refusal.value.response.status_code == 403


def test_the_socket_refuses_a_rebinding_host(client: Client) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    status, _, _ = client.ask(
        "GET",
        "/api/events",
        Host="evil.example",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key=key,
        Sec_WebSocket_Protocol=f"humanseg, token.{client.token}",
    )
    assert status == 403


def test_an_address_for_one_use_is_good_once(server: PageServer, client: Client) -> None:
    _, _, ticket = server.page.access.address_for_once().partition("#once=")
    assert client.token not in ticket
    status, answer, _ = client.ask("POST", "/api/token", token="", X_Ticket=ticket)
    assert (status, answer) == (200, {"token": client.token})
    assert client.ask("POST", "/api/token", token="", X_Ticket=ticket)[0] == 403
    assert client.ask("POST", "/api/token", token="", X_Ticket="")[0] == 403


def test_every_answer_forbids_the_browser_to_ask_anybody_else(client: Client) -> None:
    for path in ("/", "/static/style.css", "/api/backgrounds", "/nothing"):
        headers = client.ask("GET", path)[2]
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_no_file_of_the_page_names_another_address(client: Client) -> None:
    _, page, _ = client.ask("GET", "/")
    names = set(re.findall(rb'(?:src|href)="(/[^"]*)"', page))
    scripts = {b"/static/" + name for name in (b"live.js", b"files.js", b"gallery.js")}
    for name in names | scripts:
        status, content, _ = client.ask("GET", name.decode())
        assert status == 200
        outside = set(re.findall(rb"\w+://[^\s\"'`$)]*", content)) - {b"http://www.w3.org/2000/svg"}
        assert outside <= {b"ws://", "rtsp://…".encode()}


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/app.py"])
def test_only_the_pages_own_files_are_served(client: Client, path: str) -> None:
    assert client.ask("GET", path)[0] == 404


def test_a_taken_port_is_told(server: PageServer, client: Client) -> None:
    with pytest.raises(InputError, match=rf"port {client.port}.*taken.*--port"):
        PageServer(port=client.port)


# Backgrounds


def add(client: Client, name: str, data: Any, **headers: str) -> tuple[int, Any]:
    status, answer, _ = client.ask("POST", f"/api/backgrounds?name={quote(name)}", data, **headers)
    return status, answer


def test_a_background_is_added_shown_and_removed(client: Client, gallery: Gallery) -> None:
    status, added = add(client, "Sea.png", png())
    assert status == 201
    assert Path(added["word"]).parent == gallery.folder
    place = f"?background={quote(added['word'])}"
    tiles = client.ask("GET", "/api/backgrounds")[1]["backgrounds"]
    assert tiles == [{"word": added["word"], "label": "Sea", "is_own": True}]
    status, thumbnail, headers = client.ask("GET", f"/api/thumbnail{place}")
    assert (status, headers.get_content_type()) == (200, "image/jpeg")
    assert thumbnail.startswith(b"\xff\xd8")
    assert client.ask("DELETE", f"/api/backgrounds{place}")[0] == 200
    assert client.ask("GET", "/api/backgrounds")[1]["backgrounds"] == []


def test_fifty_megabytes_are_refused_before_they_are_sent(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port), PATIENCE) as raw:
        head = [
            "POST /api/backgrounds?name=a.png HTTP/1.1",
            f"Host: 127.0.0.1:{client.port}",
            f"Authorization: Bearer {client.token}",
            "Content-Length: 50000000",
        ]
        raw.sendall("\r\n".join([*head, "", ""]).encode())
        answer = raw.recv(65536)
        while b"error" not in answer and (more := raw.recv(65536)):
            answer += more
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"50 MB" in answer


def test_fifty_megabytes_of_untold_length_are_refused(client: Client, gallery: Gallery) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            yield bytes(1_000_000)

    # The server hangs up as soon as it is too much; who goes on sending may see just that.
    with contextlib.suppress(ConnectionError):
        status, answer = add(client, "a.png", chunks())
        assert status == 413
        assert "more than the 20 MB" in answer["error"]
    assert gallery.pictures() == []
    assert client.ask("GET", "/api/backgrounds")[0] == 200


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.png", b"no picture at all", "no picture"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "no picture"),
        ("../../a.png", png(), "path"),
        ("..\\a.png", png(), "path"),
        ("", png(), "no name"),
        ("a.png", b"", "no picture"),
    ],
)
def test_what_is_no_background_is_refused(
    client: Client, gallery: Gallery, tmp_path: Path, name: str, data: bytes, told: str
) -> None:
    before = set(tmp_path.rglob("*"))
    status, answer = add(client, name, data)
    assert status == 400
    assert told in answer["error"]
    assert set(tmp_path.rglob("*")) == before


def test_thumbnails_are_given_of_backgrounds_only(client: Client) -> None:
    for path in ("/etc/passwd", str(SAMPLES / "portrait.png"), ""):
        assert client.ask("GET", f"/api/thumbnail?background={quote(path)}")[0] == 404


def test_the_sessions_own_backgrounds_are_in_the_gallery(side: LiveSide, client: Client) -> None:
    beach = str(SAMPLES / "beach.jpg")
    assert side.controls.apply(f"background {beach}").ok
    [tile] = client.ask("GET", "/api/backgrounds")[1]["backgrounds"]
    assert tile == {"word": beach, "label": "beach", "is_own": False}
    assert client.ask("GET", f"/api/thumbnail?background={quote(beach)}")[0] == 200
    assert client.ask("DELETE", f"/api/backgrounds?background={quote(beach)}")[0] == 400
    assert Path(beach).exists()


# The socket


def test_commands_are_those_of_the_session(side: LiveSide, client: Client) -> None:
    with client.socket() as opened:
        assert receive(opened, "hello")["has_live"] is True
        reply = command(opened, "mirror on")
        assert (reply["ok"], reply["id"], reply["text"]) == (True, 7, "mirror is on")
        assert side.controls.look.mirror
        reply = command(opened, "mirrow on")
        assert not reply["ok"]
        assert "mirror" in reply["text"]


def test_the_state_shows_what_others_change(side: LiveSide, client: Client) -> None:
    with client.socket() as opened:
        assert receive(opened, "live")["status"]["look"]["keep"] == "all"
        side.controls.apply("keep largest")
        wait_for(lambda: receive(opened, "live")["status"]["look"]["keep"] == "largest")


@pytest.mark.parametrize(
    "message", ["no JSON", "[]", '"text"', "{}", '{"command": 7}', '{"seen": "x", "watch": 1}', ""]
)
def test_messages_that_mean_nothing_are_passed_over(client: Client, message: str) -> None:
    with client.socket() as opened:
        opened.send(message)
        assert command(opened, "mirror on")["ok"]


def test_a_message_that_is_too_long_ends_its_own_socket_only(client: Client) -> None:
    with client.socket() as other, client.socket() as opened:
        opened.send("x" * 100_000)
        with pytest.raises(ConnectionClosed):
            receive(opened, "nothing")
        assert command(other, "mirror on")["ok"]


def test_the_preview_shows_the_newest_frame(side: LiveSide, client: Client) -> None:
    with Feed(side.sink) as feed, client.socket() as opened:
        opened.send('{"watch": true}')
        _, before = receive_picture(opened)
        assert before.shape == (*LARGEST, 3)
        feed.pixels = np.full_like(feed.pixels, 250)
        for _ in range(100):
            number, picture = receive_picture(opened)
            opened.send(json.dumps({"seen": number}))
            if picture.mean() > 245:
                break
        assert picture.mean() > 245


def test_who_does_not_watch_costs_nothing(side: LiveSide, client: Client) -> None:
    with Feed(side.sink) as feed, client.socket() as opened:
        receive(opened, "live")
        wait_for(lambda: feed.count > 10)
        assert side.sink.kept == 0
        opened.send('{"watch": true}')
        receive_picture(opened)
        opened.send('{"watch": false}')
        wait_for(lambda: not side.sink.is_watched)
        kept, count = side.sink.kept, feed.count
        wait_for(lambda: feed.count > count + 10)
        assert side.sink.kept == kept
        assert side.sink.take() is None


def test_a_page_that_draws_slowly_gets_newer_pictures_not_more(
    side: LiveSide, client: Client
) -> None:
    with Feed(side.sink) as feed, client.socket() as opened:
        opened.send('{"watch": true}')
        first, _ = receive_picture(opened)
        second, _ = receive_picture(opened)
        wait_for(lambda: feed.count > 60)  # two seconds without a word
        opened.send(json.dumps({"seen": second}))
        third, _ = receive_picture(opened)
        assert second == first + 1
        assert third > second + 5


def open_and_vanish(client: Client) -> socket.socket:
    """A browser that asks for pictures, and then neither reads nor leaves."""
    raw = socket.create_connection(("127.0.0.1", client.port), PATIENCE)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = [
        "GET /api/events HTTP/1.1",
        f"Host: 127.0.0.1:{client.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        f"Sec-WebSocket-Protocol: humanseg, token.{client.token}",
    ]
    raw.sendall("\r\n".join([*head, "", ""]).encode())
    told = b""
    while not told.endswith(b"\r\n\r\n"):  # no further: it does not read what follows
        told += raw.recv(1)
    assert told.startswith(b"HTTP/1.1 101")
    text = b'{"watch": true}'
    raw.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    return raw


def test_ten_watchers_and_one_that_vanishes_cost_the_video_nothing(
    server: PageServer, side: LiveSide, client: Client
) -> None:
    with Feed(side.sink) as feed, contextlib.ExitStack() as stack:
        opened = [stack.enter_context(client.socket()) for _ in range(10)]
        gone, torn = open_and_vanish(client), open_and_vanish(client)
        stack.callback(gone.close)
        for each in opened:
            each.send('{"watch": true}')
        wait_for(lambda: server.page.visitors == 12)
        linger = struct.pack("ii", 1, 0)
        torn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        torn.close()  # a reset, as of a browser that was killed
        began, count, numbers = time.monotonic(), feed.count, []
        feed.writes.clear()
        while time.monotonic() - began < 3:
            for each in opened:
                number, _ = receive_picture(each)
                each.send(json.dumps({"seen": number}))
                numbers.append(number)
        rate = (feed.count - count) / (time.monotonic() - began)
        assert rate == pytest.approx(feed.RATE, rel=0.05)
        assert statistics.median(feed.writes) < 0.001
        assert max(numbers) - min(numbers) > 5
        wait_for(lambda: server.page.visitors == 11)
    wait_for(lambda: server.page.visitors == 0)
    assert not side.sink.is_watched


def test_a_browser_that_vanished_is_forgotten_in_time(
    side: LiveSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor, "PATIENCE", 0.5)
    with (
        PageServer(live=side, scratch=tmp_path) as server,
        Feed(side.sink),
        open_and_vanish(Client(server)),
    ):
        wait_for(lambda: side.sink.is_watched)
        wait_for(lambda: not side.sink.is_watched)
        wait_for(lambda: server.page.visitors == 0)


def test_too_many_pages_are_refused_and_the_others_go_on(client: Client) -> None:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(client.socket()) for _ in range(MOST_VISITORS)]
        with pytest.raises(InvalidStatus), client.socket():
            pass
        assert command(opened[0], "mirror on")["ok"]


def test_quit_is_a_command_and_an_address(side: LiveSide, client: Client) -> None:
    asked: list[str] = []
    side.controls.on_quit = lambda: asked.append("quit")
    assert client.ask("POST", "/api/quit")[1] == {"ok": True}
    assert asked == ["quit"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="missing"):
        PageServer(scratch=tmp_path / "missing")


def test_a_taken_port_leaves_no_folder_behind(client: Client, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError):
        PageServer(port=client.port, scratch=tmp_path)
    assert set(tmp_path.iterdir()) == before


def test_closing_ends_the_threads_and_frees_the_port(side: LiveSide, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    server = PageServer(live=side, scratch=tmp_path)
    client = Client(server)
    with client.socket() as opened:
        opened.send('{"watch": true}')
        wait_for(lambda: side.sink.is_watched)
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 5
        with pytest.raises(ConnectionClosed):
            receive(opened, "nothing")
    with PageServer(port=client.port, scratch=tmp_path):
        pass
    wait_for(lambda: not [t for t in set(threading.enumerate()) - before if "humanseg" in t.name])
    assert list(tmp_path.iterdir()) == []


# Video files


def hand_in(client: Client, path: Path, **wish: str) -> tuple[int, Any]:
    query = urlencode({"name": path.name, "preset": "fast", **wish})
    return client.ask("POST", f"/api/files?{query}", path.read_bytes())[:2]


def jobs(client: Client) -> list[dict[str, Any]]:
    with client.socket() as opened:
        return list(receive(opened, "files")["jobs"])


def wait_for_state(client: Client, state: str) -> dict[str, Any]:
    wait_for(lambda: jobs(client)[0]["state"] == state)
    return jobs(client)[0]


@pytest.fixture
def clip(make_video: Callable[..., Path]) -> Path:
    return make_video("my clip.mp4", frames=12)


def test_a_video_goes_in_and_its_result_comes_out(
    client: Client, clip: Path, tmp_path: Path, read_video: Callable[[Path], Any]
) -> None:
    status, answer = hand_in(client, clip, background="green")
    assert status == 201
    job = wait_for_state(client, "done")
    assert (job["frames"], job["promised"], job["text"]) == (12, 12, "")
    assert job["result_name"] == "my clip new background.mp4"
    address = client.ask("POST", f"/api/files/{answer['key']}/ticket")[1]["address"]
    status, data, headers = client.ask("GET", address, token="")
    assert status == 200
    assert headers["Content-Disposition"].startswith("attachment; ")
    result = tmp_path / "result.mp4"
    result.write_bytes(data)
    assert len(read_video(result).times) == 12
    assert client.ask("GET", address, token="")[0] == 403
    assert client.ask("DELETE", f"/api/files/{answer['key']}")[0] == 200
    assert jobs(client) == []
    assert list(tmp_path.rglob("source*")) == []


def test_a_transparent_result_is_a_mov(client: Client, clip: Path) -> None:
    hand_in(client, clip, output="alpha")
    assert wait_for_state(client, "done")["result_name"] == "my clip transparent.mov"


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"preset": "fastest"}, "fast"),
        ({"output": "everything"}, "composite"),
        ({"background": "/etc/passwd"}, "no such background"),
        ({"background": "blur:7"}, "strength"),
        ({"name": "../a.mp4"}, "path"),
    ],
)
def test_a_wrong_wish_is_refused(
    client: Client, clip: Path, wish: dict[str, str], told: str
) -> None:
    status, answer = hand_in(client, clip, **wish)
    assert status == 400
    assert told in answer["error"]
    assert jobs(client) == []


@pytest.mark.parametrize("data", [b"", b"#EXTM3U\nhttp://127.0.0.1/a.ts\n", b"\0\0\0\x20ftypisom"])
def test_what_is_no_video_is_refused(
    client: Client, server: PageServer, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    status, answer = hand_in(client, path)
    assert status == 400
    assert answer["error"].startswith("film.mp4 is no video")
    assert [each.name for each in server.page.scratch.iterdir()] == ["lock"]


def test_videos_that_are_too_large_or_too_long_are_refused(
    client: Client, clip: Path, server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_routes, "MOST_BYTES", 1000)
    assert hand_in(client, clip)[0] == 413
    monkeypatch.undo()
    monkeypatch.setattr(file_jobs, "LONGEST_SECONDS", 0.3)
    status, answer = hand_in(client, clip)
    assert (status, "longer than" in answer["error"]) == (400, True)
    monkeypatch.undo()
    monkeypatch.setattr(file_jobs, "MOST_PIXELS", 1000)
    status, answer = hand_in(client, clip)
    assert (status, "more than 4K" in answer["error"]) == (400, True)
    assert [each.name for each in server.page.scratch.iterdir()] == ["lock"]


def test_a_disk_that_is_nearly_full_is_told_before_the_upload(
    client: Client, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_routes, "SPARE_BYTES", 10**18)
    status, answer = hand_in(client, clip)
    assert status == 507
    assert "disk" in answer["error"]


def test_one_video_at_a_time_in_order_and_a_running_one_can_be_cancelled(
    client: Client, clip: Path, server: PageServer
) -> None:
    running, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def process(source: Path, target: Path, **options: Any) -> Any:
        from humanseg.pipeline import Progress, Summary

        seen.append(options["background"])
        running.set()
        while not go_on.wait(0.02):
            options["on_progress"](Progress(3, 12, 1.5))
        target.write_bytes(b"video")
        return Summary(target, 12, 12, 2.0, {}, 64, 48, "fast", "none", (), ("a warning",))

    server.page.files._process = process
    keys = [hand_in(client, clip, background=name)[1]["key"] for name in ("green", "white", "grey")]
    assert running.wait(PATIENCE)
    wait_for(lambda: jobs(client)[0]["frames"] == 3)
    told = jobs(client)
    assert [job["state"] for job in told] == ["running", "waiting", "waiting"]
    assert told[0]["seconds_left"] == pytest.approx(4.5)
    assert client.ask("DELETE", f"/api/files/{keys[0]}")[0] == 400
    assert client.ask("POST", f"/api/files/{keys[0]}/ticket")[0] == 400
    for key in (keys[1], keys[0]):
        assert client.ask("POST", f"/api/files/{key}/cancel")[0] == 200
    wait_for(lambda: jobs(client)[0]["state"] == "cancelled")
    go_on.set()
    wait_for(lambda: jobs(client)[2]["state"] == "done")
    told = jobs(client)
    assert [job["state"] for job in told] == ["cancelled", "cancelled", "done"]
    assert told[2]["text"] == "a warning"
    assert seen == ["green", "grey"]
    left = [each for each in server.page.scratch.rglob("*") if each.is_file()]
    assert sorted(each.name for each in left) == ["lock", "result.mp4"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            SettingsError("it is upside down", subject="/tmp/x", hint="turn it"),
            "it is upside down (turn it)",
        ),
        (ValueError("oops"), "humanseg has a fault: ValueError: oops"),
    ],
)
def test_a_failure_is_told_and_the_queue_goes_on(
    client: Client, clip: Path, server: PageServer, error: Exception, told: str
) -> None:
    usual = server.page.files._process

    def fail(*arguments: object, **options: object) -> Any:
        server.page.files._process = usual
        raise error

    server.page.files._process = fail
    hand_in(client, clip)
    hand_in(client, clip)
    assert wait_for_state(client, "failed")["text"].endswith(told)
    wait_for(lambda: jobs(client)[1]["state"] == "done")


def test_a_job_leaves_the_calls_share_of_the_processor_as_it_was(
    client: Client, clip: Path
) -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        hand_in(client, clip)
        wait_for_state(client, "done")
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_an_upload_that_breaks_off_leaves_nothing(client: Client, server: PageServer) -> None:
    with socket.create_connection(("127.0.0.1", client.port), PATIENCE) as raw:
        head = [
            "POST /api/files?name=a.mp4 HTTP/1.1",
            f"Host: 127.0.0.1:{client.port}",
            f"Authorization: Bearer {client.token}",
            "Content-Length: 1000000",
        ]
        raw.sendall("\r\n".join([*head, "", ""]).encode() + b"\0\0\0\x20ftypisom" + bytes(1000))
        wait_for(lambda: len(list(server.page.scratch.iterdir())) == 2)
    wait_for(lambda: [each.name for each in server.page.scratch.iterdir()] == ["lock"])


def test_files_are_served_without_a_session(clip: Path, tmp_path: Path) -> None:
    with PageServer(scratch=tmp_path, gallery=Gallery(tmp_path / "none")) as server:
        client = Client(server)
        with client.socket() as opened:
            assert receive(opened, "hello")["has_live"] is False
            assert receive(opened, "files")["jobs"] == []
        assert hand_in(client, clip)[0] == 201
        wait_for_state(client, "done")
    assert [each for each in tmp_path.iterdir() if each.is_dir()] == []


def test_closing_cancels_the_running_video(clip: Path, tmp_path: Path) -> None:
    began, ended = threading.Event(), threading.Event()

    def process(source: Path, target: Path, **options: Any) -> Any:
        from humanseg.pipeline import Progress

        began.set()
        try:
            while True:
                options["on_progress"](Progress(1, 12, 0.1))
                time.sleep(0.01)
        finally:
            ended.set()

    with PageServer(scratch=tmp_path, gallery=Gallery(tmp_path / "none")) as server:
        server.page.files._process = process
        hand_in(Client(server), clip)
        assert began.wait(PATIENCE)
    assert ended.is_set()
    assert [each for each in tmp_path.iterdir() if each.is_dir()] == []
