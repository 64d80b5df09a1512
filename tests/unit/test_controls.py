"""Commands: what each line does to the look, and what is answered."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanseg.control.commands import COMMANDS, LONGEST_LINE, describe_commands, from_folder
from humanseg.control.controls import Controls
from humanseg.errors import SettingsError, SourceError
from humanseg.look.looks import KEEPS, RANGES, VIEWS, Look


def after(*lines: str, look: Look | None = None) -> Look:
    controls = Controls(look)
    for line in lines:
        reply = controls.apply(line)
        assert reply.ok, reply.text
    return controls.look


@pytest.mark.parametrize(
    ("line", "changed", "text"),
    [
        ("blur off", {"effect_on": False}, "blur is off, strength 0.5; the effect is off, "),
        ("blur on", {}, "blur is on, strength 0.5"),
        ("blur toggle", {"effect_on": False}, "blur is off"),
        ("blur strength 0.6", {"strength": 0.6}, "blur is on, strength 0.6"),
        ("blur strength up", {"strength": 0.6}, "blur is on, strength 0.6"),
        ("strength 0.25", {"strength": 0.25}, "strength is 0.25"),
        ("strength down", {"strength": 0.4}, "strength is 0.4"),
        ("effect off", {"effect_on": False}, "the effect is off, the camera's own picture"),
        ("background #00ff00", {"background": "#00ff00"}, "the background is #00ff00"),
        ("background Green", {"background": "Green"}, "the background is Green"),
        ("background blur:0.8", {"strength": 0.8}, "blur is on, strength 0.8"),
        ("background BLUR", {}, "blur is on, strength 0.5"),
        ("mirror on", {"mirror": True}, "mirror is on"),
        ("MIRROR TOGGLE", {"mirror": True}, "mirror is on"),
        ("freeze on", {"frozen": True}, "freeze is on: the picture stands"),
        ("view mask", {"view": "mask"}, "the mask is shown"),
        ("view toggle", {"view": "mask"}, "the mask is shown"),
        ("statistics on", {"statistics": True}, "statistics is on"),
        ("keep largest", {"keep": "largest"}, "the largest person is kept"),
        ("keep toggle", {"keep": "largest"}, "the largest person is kept"),
        ("threshold 0.4", {"threshold": 0.4}, "threshold is 0.4"),
        ("feather 2", {"feather": 2.0}, "feather is 2 pixels"),
        ("grow -1", {"grow": -1.0}, "grow is -1 pixels"),
        ("grow down", {"grow": -1.0}, "grow is -1 pixels"),
        ("overlay off", {}, "overlay is off"),
        ("auto-frame on", {"auto_frame": True}, "auto-frame is on"),
        ("auto_frame on", {"auto_frame": True}, "auto-frame is on"),
        ("  mirror   on  ", {"mirror": True}, "mirror is on"),
    ],
)
def test_commands_change_the_look_and_say_so(line, changed, text):
    controls = Controls()
    reply = controls.apply(line)
    assert (reply.ok, controls.look) == (True, replace(Look(), **changed))
    assert reply.text.startswith(text)
    assert json.loads(json.dumps(reply.data))["look"]["mirror"] is controls.look.mirror


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("blurr on", "did you mean 'blur'?"),
        ("", "choose effect, blur,"),
        ("blur", "choose on, off, toggle or strength"),
        ("blur purple", "blur cannot be 'purple'"),
        ("blur on please", "no further words"),
        ("blur strength much", "give 0 to 1, up or down"),
        ("blur strength 1.5", "give 0 to 1"),
        ("strength nan", "give 0 to 1"),
        ("mirror sideways", "choose on, off or toggle"),
        ("keep bigest", "did you mean 'largest'? choose all, largest or centre"),
        ("view thermal", "choose composite or mask"),
        ("threshold 0", "give 0.05 to 0.95"),
        ("grow 99", "give -30 to 30"),
        ("background", "a picture or video"),
        ("background next", "set 'backgrounds' in the config file"),
        ("background nowhere.jpg", "nowhere.jpg: there is no such file"),
        ("background blur:much", "0 to 1"),
        ("overlay", "give a picture, or off"),
        ("overlay nowhere.png", "nowhere.png: there is no such file"),
        ("overlay " + "x" * 4000, "there is no such file"),
        ("preset", "choose fast, balanced, best"),
        ("preset quick", "there is no preset 'quick'"),
        ("preset fast", "this cannot be changed while it runs"),
        ("profile", "needs a word"),
        ("quit now", "no further words"),
        ("mirror\non", "plain letters"),
        ("mirror on" + " " * LONGEST_LINE, "at most"),
    ],
)
def test_a_wrong_command_is_answered_and_changes_nothing(line, expected):
    controls = Controls()
    before = controls.look
    reply = controls.apply(line)
    assert not reply.ok
    assert expected in reply.text
    assert controls.look is before


words = st.sampled_from(
    [*COMMANDS, "on", "off", "toggle", "next", "up", "down", "0.5", "-1", "nan", *VIEWS, *KEEPS]
)
lines = st.one_of(
    st.text(),
    st.binary().map(lambda data: data.decode("utf-8", "replace")),
    st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")),
    st.lists(words, max_size=4).map(" ".join),
    st.tuples(words, st.text()).map(" ".join),
)


@given(st.lists(lines, max_size=5))
def test_no_line_does_harm(given_lines):
    controls = Controls(Look(backgrounds=("blur", "green", "blur:0.9")), on_quit=lambda: None)
    for line in given_lines:
        reply = controls.apply(line)
        assert reply.text
        json.dumps([reply.text, reply.data])
        look = controls.look
        assert look.view in VIEWS
        assert look.keep in KEEPS
        for name, (low, high) in RANGES.items():
            assert low <= getattr(look, name) <= high


def test_steps_stop_at_the_ends_of_the_range():
    assert after(*["strength up"] * 12).strength == 1
    assert after(*["strength down"] * 12).strength == 0
    assert after(*["threshold down"] * 12).threshold == 0.05
    assert after(*["strength up"] * 3).strength == 0.8


def test_blur_off_does_not_show_the_room_behind_another_background():
    look = Look(background="green")
    assert after("blur off", look=look) == look
    assert after("blur toggle", look=look) == Look(background="blur")
    assert not after("effect off", look=look).effect_on


def test_a_background_chosen_while_the_effect_is_off_turns_it_on():
    assert after("effect off", "background green") == Look(background="green")
    assert after("background green", "effect off", "blur on") == Look()


def test_next_goes_round_the_list_in_both_directions():
    look = Look(background="green", backgrounds=("blur:0.8", "green", "#102030"))
    shown = [after(*["background next"] * count, look=look).background for count in range(4)]
    assert shown == ["green", "#102030", "blur", "green"]
    assert after("background next", "background next", look=look).strength == 0.8
    assert after("background previous", look=look).background == "blur"
    assert after("background previous", "background previous", look=look).background == "#102030"


def test_next_starts_at_the_end_of_the_list_that_it_comes_from():
    look = Look(background="red", backgrounds=("green", "blue", "white"))
    assert after("background next", look=look).background == "green"
    assert after("background previous", look=look).background == "white"


def test_next_goes_on_from_the_blur_whatever_its_strength_is_now():
    look = Look(background="green", backgrounds=("green", "blur:0.8", "blue"))
    moved = after("background next", "strength 0.3", "background next", look=look)
    assert moved.background == "blue"


def opening_all_but(*broken: str):
    def on_change(look: Look) -> None:
        if look.background in broken:
            raise SourceError("is no picture that can be read", subject=look.background)

    return on_change


def test_a_background_that_cannot_be_opened_is_not_taken():
    controls = Controls(Look(mirror=True), on_change=opening_all_but("green"))
    reply = controls.apply("background green")
    assert (reply.ok, reply.data) == (False, None)
    assert "green: is no picture" in reply.text
    assert controls.look == Look(mirror=True)
    with pytest.raises(SourceError):
        controls.replace(Look(background="green"))
    assert controls.look == Look(mirror=True)


def test_next_skips_what_cannot_be_opened():
    look = Look(background="red", backgrounds=("red", "green", "blue"))
    controls = Controls(look, on_change=opening_all_but("green"))
    assert controls.apply("background next").text == "the background is blue"


def test_other_commands_work_while_the_background_is_broken():
    controls = Controls(Look(background="green"), on_change=opening_all_but("green"))
    assert controls.apply("mirror on").ok


def test_what_the_session_must_do_reaches_it():
    heard: list[str] = []
    controls = Controls(
        on_quit=lambda: heard.append("quit"),
        on_status=lambda: {"rate_in": 30.0},
        on_reload=lambda: heard.append("reload"),
        on_preset=lambda name: f"preset is {name}, from the next frame on",
        on_profile=heard.append,
    )
    status = controls.apply("status")
    assert status.data is not None
    assert status.data["rate_in"] == 30.0
    assert status.text == "humanseg live is running; blur is on, strength 0.5"
    assert controls.apply("preset fast").text == "preset is fast, from the next frame on"
    assert controls.apply("profile call").text == "profile is call"
    assert controls.apply("reload").ok
    assert controls.apply("quit").ok
    assert heard == ["call", "reload", "quit"]


@pytest.mark.parametrize(
    ("line", "hook", "words"),
    [
        ("camera 1", "on_camera", "1"),
        ("camera Logitech HD Pro", "on_camera", "Logitech HD Pro"),
        ("camera rtsp://host/path", "on_camera", "rtsp://host/path"),
        ("virtual-camera /dev/video10", "on_virtual_camera", "/dev/video10"),
        ("virtual_camera none", "on_virtual_camera", "none"),
        ("profile film night", "on_profile", "film night"),
        ("save film night", "on_save", "film night"),
    ],
)
def test_words_reach_the_session_as_they_are(line, hook, words):
    heard: list[str] = []
    controls = Controls()
    refused = controls.apply(line)
    assert (refused.ok, refused.text) == (False, "this cannot be changed while it runs")
    setattr(controls, hook, lambda given: heard.append(given) or "done")
    assert controls.apply(line).text == "done"
    assert heard == [words]
    bare = controls.apply(line.split()[0])
    assert not bare.ok
    assert "needs a word" in bare.text


def test_the_status_tells_the_figures_and_the_profiles():
    controls = Controls(
        Look(mirror=True),
        on_status=lambda: {"rate_in": 30.0},
        on_profiles=lambda: {"profile": None, "profiles": ["call"]},
    )
    data = controls.apply("status").data
    assert data is not None
    look = data["look"]
    assert isinstance(look, dict)
    assert (look["mirror"], data["rate_in"], data["profiles"]) == (True, 30.0, ["call"])
    assert json.loads(json.dumps(data))["profile"] is None


def test_a_change_from_inside_loses_no_command_that_comes_meanwhile():
    controls = Controls()

    def change(now: Look) -> Look:
        if not now.mirror:  # somebody else is quicker, once
            assert controls.apply("mirror on").ok
        return replace(now, feather=2.0)

    assert controls.update(change) == Look(mirror=True, feather=2.0)
    assert controls.look == Look(mirror=True, feather=2.0)


def test_a_fault_in_the_session_is_answered():
    def fail() -> None:
        raise ZeroDivisionError("oh")

    def refuse(name: str) -> None:
        raise SettingsError(f"there is no profile '{name}'")

    controls = Controls(on_reload=fail, on_profile=refuse)
    assert controls.apply("reload").text == "humanseg has a fault: ZeroDivisionError: oh"
    assert controls.apply("profile x").text == "there is no profile 'x'"


def test_no_command_is_lost_when_many_command_at_once():
    controls = Controls(Look(strength=0.0))
    begin = threading.Barrier(4)

    def step() -> None:
        begin.wait()
        for _ in range(50):
            controls.apply("mirror toggle")
            controls.apply("grow up")
            controls.apply("grow down")

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert controls.look == Look(strength=0.0)


def test_an_existing_file_is_taken_and_named_without_its_folder(tmp_path: Path):
    path = tmp_path / "my beach.jpg"
    path.write_bytes(b"")
    controls = Controls()
    assert controls.apply(f"background {path}").text == "the background is my beach.jpg"
    assert controls.apply(f"overlay {path}").text == "the overlay is my beach.jpg"
    assert controls.look.overlay == str(path)


def test_relative_paths_are_those_of_the_caller(tmp_path: Path):
    assert from_folder("background beach.jpg", tmp_path) == f"background {tmp_path / 'beach.jpg'}"
    assert from_folder("overlay a b.png", tmp_path) == f"overlay {tmp_path / 'a b.png'}"
    assert from_folder("background ./next", tmp_path) == f"background {tmp_path / 'next'}"


def test_a_camera_is_a_path_where_there_is_such_a_file(tmp_path: Path):
    (tmp_path / "walk.mp4").write_bytes(b"")
    assert from_folder("camera walk.mp4", tmp_path) == f"camera {tmp_path / 'walk.mp4'}"
    for line in ("camera 0", "camera Logitech", "camera none.mp4", "camera", "camera rtsp://a/b"):
        assert from_folder(line, tmp_path) == line


@pytest.mark.parametrize(
    "line",
    [
        "background next",
        "background #00ff00",
        "background blur:1",
        "overlay off",
        "quit",
        "",
        "x y",
    ],
)
def test_other_words_are_no_paths(line, tmp_path):
    assert from_folder(line, tmp_path) == line


def test_every_command_is_described():
    usages = [usage for usage, _ in describe_commands()]
    assert [usage.split()[0] for usage in usages] == list(COMMANDS)
    assert all(about.endswith(".") for _, about in describe_commands())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"strength": 1.2}, "a strength of 1.2"),
        ({"threshold": float("nan")}, "a threshold of nan"),
        ({"keep": "both"}, "choose all, largest or centre"),
        ({"background": "blur:2"}, "a strength of 2"),
    ],
)
def test_a_look_outside_its_ranges_cannot_be_made(fields, words):
    with pytest.raises(SettingsError, match=words):
        Look(**fields)
