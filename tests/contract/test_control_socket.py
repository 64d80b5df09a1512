"""The control socket: many clients, rude ones too, and one server in one place."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from humanseg.control import server as control_socket
from humanseg.control.controls import Controls
from humanseg.control.endpoint import LONGEST_ADDRESS, Listener, connect, default_path
from humanseg.control.server import LONGEST, MOST_CLIENTS, THREAD_NAME, ControlServer, send
from humanseg.errors import InputError, SettingsError

PATIENCE = 20.0

both_kinds = pytest.mark.parametrize("unix", [True, False], ids=["unix", "port"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "own" / "control"


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture
def server(controls: Controls, place: Path) -> Iterator[ControlServer]:
    with ControlServer(controls, place) as server:
        yield server


def wait_for(truth: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not truth():
        assert time.monotonic() < until
        time.sleep(0.005)


def threads() -> int:
    return sum(each.name == THREAD_NAME for each in threading.enumerate())


def ask(client: socket.socket, line: bytes) -> dict[str, object]:
    client.sendall(line + b"\n")
    return answer(client)


def answer(client: socket.socket) -> dict[str, object]:
    read = b""
    while not read.endswith(b"\n"):
        data = client.recv(1 << 16)
        assert data, "the server hung up"
        read += data
    reply: dict[str, object] = json.loads(read)
    return reply


@both_kinds
def test_a_command_is_carried_out_and_answered(controls, place, unix):
    with ControlServer(controls, place, unix=unix):
        reply = send("mirror on", place)
        assert (reply["ok"], reply["text"]) == (True, "mirror is on")
        assert reply["data"]["look"]["mirror"] is True
        assert controls.look.mirror
        bad = send("mirror sideways", place)
        assert (bad["ok"], bad["data"]) == (False, None)
        assert "choose on, off or toggle" in bad["text"]
    assert threads() == 0
    assert not place.exists()


@both_kinds
def test_only_the_owner_can_reach_it(controls, place, unix):
    with ControlServer(controls, place, unix=unix):
        found = place.lstat()
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert stat.S_ISSOCK(found.st_mode) == unix
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_permissions_do_not_depend_on_the_umask(controls, place):
    before = os.umask(0)
    try:
        with ControlServer(controls, place):
            assert stat.S_IMODE(place.stat().st_mode) == 0o600
            assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_the_usual_place_is_in_the_users_runtime_folder(monkeypatch, tmp_path, controls):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "humanseg"
    folder.mkdir(mode=0o755)
    assert default_path() == folder / "control"
    with ControlServer(controls):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert send("status")["ok"]


def test_a_usual_place_that_is_somebody_elses_is_refused(monkeypatch, tmp_path, controls):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "humanseg").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="not a folder of yours alone"):
        ControlServer(controls)


@pytest.mark.parametrize("first", [b"", b"wrong", b"GET / HTTP/1.1"])
def test_without_the_secret_a_port_answers_nothing_else(controls, place, first):
    with ControlServer(controls, place, unix=False):
        port = json.loads(place.read_text())["port"]
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as stranger:
            stranger.sendall(first + b"\nmirror on\n")
            assert "not the secret" in answer(stranger)["text"]
        assert not controls.look.mirror
        assert send("mirror on", place)["ok"]


def test_many_clients_at_once_are_all_answered(server, controls, place):
    replies: list[bool] = []

    def command() -> None:
        with connect(place, seconds=PATIENCE) as client:
            for line in (b"grow up", b"grow down", b"mirror toggle", b"mirror toggle") * 5:
                replies.append(bool(ask(client, line)["ok"]))

    clients = [threading.Thread(target=command) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert replies == [True] * 8 * 20
    assert (controls.look.grow, controls.look.mirror) == (0, False)


def test_several_lines_at_once_are_answered_in_order(server, place):
    with connect(place, seconds=PATIENCE) as client:
        client.sendall(b"mirror on\r\nfreeze on\nnonsense\n")
        read = b""
        while read.count(b"\n") < 3:
            read += client.recv(1 << 16)
    texts = [json.loads(line)["text"] for line in read.splitlines()]
    assert texts[0] == "mirror is on"
    assert texts[1].startswith("freeze is on")
    assert texts[2].startswith("there is no command 'nonsense'")


def test_a_client_that_vanishes_mid_line_changes_nothing(server, controls, place):
    with connect(place, seconds=PATIENCE) as client:
        client.sendall(b"mirror on")
    with connect(place, seconds=PATIENCE) as client:
        client.sendall(b"freeze on\nmirror o")
    wait_for(lambda: threads() == 1)
    assert send("status", place)["ok"]
    assert not controls.look.mirror


def test_a_line_of_a_megabyte_is_refused_and_the_client_may_go_on(server, place):
    with connect(place, seconds=PATIENCE) as client:
        reply = ask(client, b"background " + b"x" * (1 << 20))
        assert (reply["ok"], reply["text"]) == (False, f"a command has at most {LONGEST} bytes")
        assert ask(client, b"mirror on")["ok"]
        assert not ask(client, b"x" * (LONGEST + 1))["ok"]


@given(st.lists(st.binary(max_size=40), max_size=6))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_survived(server, place, parts):
    with connect(place, seconds=PATIENCE) as client:
        for part in parts:
            reply = ask(client, part.replace(b"\n", b""))
            assert isinstance(reply["text"], str)
    assert send("status", place)["ok"]


def test_clients_that_hang_make_room_for_others(monkeypatch, controls, place):
    monkeypatch.setattr(control_socket, "IDLE", 0.0)
    with ControlServer(controls, place):
        hanging = [connect(place, seconds=PATIENCE) for _ in range(3 * MOST_CLIENTS)]
        # Who came at the same moment may leave in any order: count, and close only at the end.
        wait_for(lambda: len(select.select(hanging, [], [], 0)[0]) == 2 * MOST_CLIENTS)
        wait_for(lambda: threads() <= MOST_CLIENTS + 1)
        # Who came last is still there.
        assert ask(hanging[-1], b"status")["ok"]
        assert send("mirror on", place)["ok"]
        for client in hanging:
            client.close()


def test_who_owes_the_secret_is_not_waited_for(monkeypatch, controls, place):
    monkeypatch.setattr(control_socket, "PATIENCE", 0.05)
    with ControlServer(controls, place, unix=False):
        port = json.loads(place.read_text())["port"]
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as stranger:
            assert "not the secret" in answer(stranger)["text"]
        with connect(place, seconds=PATIENCE) as owner:
            assert ask(owner, b"mirror on")["ok"]
            time.sleep(0.2)
            assert ask(owner, b"freeze on")["ok"]


def test_want_of_open_files_costs_nothing_and_ends(monkeypatch, server, place):
    refused: list[float] = []

    def refuse(listening: socket.socket) -> object:
        refused.append(time.process_time())
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "accept", refuse)
        client = connect(place, seconds=PATIENCE)
        # The client goes on waiting, so that the next try comes at once if nobody takes a breath.
        wait_for(lambda: len(refused) >= 5)
    assert refused[-1] - refused[0] < 0.1
    assert ask(client, b"status")["ok"]
    client.close()


def test_too_many_clients_are_told_so_and_room_comes_back(server, place):
    crowd = [connect(place, seconds=PATIENCE) for _ in range(MOST_CLIENTS)]
    for client in crowd:
        assert ask(client, b"status")["ok"]
    with connect(place, seconds=PATIENCE) as late:
        assert "too many" in answer(late)["text"]
    for client in crowd:
        client.close()
    wait_for(lambda: threads() == 1)
    assert send("status", place)["ok"]


def test_a_client_that_reads_nothing_stops_nobody_else(server, place):
    with connect(place, seconds=0.2) as rude:
        with pytest.raises(TimeoutError):
            rude.sendall(b"status\n" * 1_000_000)
        assert send("status", place)["ok"]


@both_kinds
def test_a_second_instance_is_refused_and_the_first_one_stays(controls, place, unix):
    with ControlServer(controls, place, unix=unix):
        with pytest.raises(InputError, match=r"another humanseg live is running.*ctl quit"):
            ControlServer(Controls(), place, unix=unix)
        assert send("mirror on", place)["ok"]
    assert controls.look.mirror
    with ControlServer(Controls(), place, unix=unix):
        assert send("status", place)["ok"]


SERVE = """
import sys, time
from pathlib import Path
from humanseg.control import server as control_socket
from humanseg.control.controls import Controls
from humanseg.control.server import ControlServer
server = ControlServer(Controls(), Path(sys.argv[1]), unix=sys.argv[2] == "True")
print("ready", flush=True)
time.sleep(60)
"""


@both_kinds
def test_who_asks_before_the_server_is_there_is_answered_then(controls, place, unix):
    replies: list[dict[str, object]] = []
    with Listener(place, unix=unix) as listener:
        asking = threading.Thread(target=lambda: replies.append(send("mirror on", place)))
        asking.start()
        time.sleep(0.1)
        assert not replies
        with ControlServer(controls, listener=listener):
            asking.join(PATIENCE)
            assert replies[0]["ok"]
        with pytest.raises(InputError, match="another humanseg live"):
            Listener(place, unix=unix)
    assert not place.exists()


@both_kinds
def test_what_a_killed_instance_leaves_is_replaced(controls, place, unix):
    child = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(place), str(unix)], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        with pytest.raises(InputError, match="another humanseg live"):
            ControlServer(controls, place, unix=unix)
        child.send_signal(signal.SIGKILL)
        child.wait(PATIENCE)
    assert place.exists()
    with pytest.raises(InputError, match="is not running"):
        send("status", place)
    with ControlServer(controls, place, unix=unix):
        assert send("status", place)["ok"]


def test_quit_is_answered_though_it_ends_the_server(place):
    ended = threading.Event()
    controls = Controls(on_quit=ended.set)
    server = ControlServer(controls, place)

    def run() -> None:
        ended.wait()
        server.close()

    session = threading.Thread(target=run)
    session.start()
    assert send("quit", place)["text"] == "humanseg live ends"
    session.join(PATIENCE)
    assert threads() == 0
    server.close()


def test_closing_inside_a_command_does_not_wait_for_itself(place):
    controls = Controls()
    server = ControlServer(controls, place)
    controls.on_quit = server.close
    assert send("quit", place)["ok"]
    wait_for(lambda: threads() == 0)


def test_idle_clients_do_not_hold_up_the_end(controls, place):
    with ControlServer(controls, place):
        client = connect(place, seconds=PATIENCE)
        assert ask(client, b"status")["ok"]
    assert client.recv(1) == b""
    client.close()
    assert threads() == 0


def test_nobody_to_talk_to(place):
    with pytest.raises(InputError, match="start it with 'humanseg live'"):
        send("status", place)


def test_a_server_that_never_answers(place):
    place.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(place))
        deaf.listen()
        with pytest.raises(InputError, match="does not answer"):
            send("status", place, seconds=0.05)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n", b"", b"[1]\n", b'{"a": 1}\n'])
def test_another_program_on_the_port_of_one_that_was_killed(place, said):
    place.parent.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        place.write_text(json.dumps({"port": other.getsockname()[1], "secret": "x"}))

        def serve() -> None:
            client, _ = other.accept()
            with client:
                client.recv(100)
                client.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(InputError, match=r"not running|does not answer"):
            send("status", place)
        thread.join()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"port": "x", "secret": 1}', '{"port": 1}'])
def test_a_place_that_holds_nonsense(place, content):
    place.parent.mkdir()
    place.write_text(content)
    with pytest.raises(InputError, match="is not running"):
        send("status", place)


@pytest.mark.parametrize("line", ["mirror on\nquit", "\ud800"])
def test_what_is_no_line_is_not_sent(place, line):
    with pytest.raises(SettingsError, match="one line"):
        send(line, place)


def test_a_path_in_any_letters_arrives(server, tmp_path, place):
    for name in ("пляж ü.png", os.fsdecode(b"latin-\xe9.png")):
        (tmp_path / name).write_bytes(b"")
        assert send(f"background {tmp_path / name}", place)["ok"]


def test_a_path_that_is_too_long_is_refused(controls, tmp_path):
    with pytest.raises(InputError, match="too long"):
        ControlServer(controls, tmp_path / ("x" * LONGEST_ADDRESS))


def test_a_place_that_cannot_be_written_is_named(controls, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/control: cannot be the control socket"):
        ControlServer(controls, tmp_path / "file" / "control")
