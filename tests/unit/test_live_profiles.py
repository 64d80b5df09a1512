"""What a running session does with its config file."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from humanseg.config.file import resolve
from humanseg.control.controls import Controls
from humanseg.live.profiles import FIXED, LiveProfiles
from humanseg.live.settings import DEFAULTS
from humanseg.look.looks import Look

TEXT = """\
feather = 1
[profiles.call]
background = "green"
feather = 2
preset = "fast"
[profiles.film]
background = "blue"
size = "640x480"
"""


class Session:
    """Controls as a session has them, with their config file."""

    def __init__(self, path: Path, profile: str | None = None, **command_line: object) -> None:
        self.presets: list[str] = []
        settings = resolve(command_line, profile, path=path)
        self.controls = Controls(settings.look(), on_preset=self.presets.append)
        LiveProfiles(
            self.controls,
            lambda name: resolve(command_line, name, path=path),
            settings,
            profile,
            path=path,
        )

    def say(self, line: str) -> str:
        reply = self.controls.apply(line)
        assert reply.ok, reply.text
        return reply.text

    @property
    def look(self) -> Look:
        return self.controls.look


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    return path


def test_the_file_is_read_again(path):
    session = Session(path)
    path.write_text(TEXT.replace("feather = 1", "feather = 3\nmirror = true"))
    assert session.say("reload") == "the config file was read again"
    assert session.look == Look(feather=3, mirror=True)
    assert session.presets == []


def test_a_mistake_in_the_file_is_told_and_everything_stays(path):
    session = Session(path)
    path.write_text("feather = 99\n")
    for line in ("reload", "profile call", "save call"):
        reply = session.controls.apply(line)
        assert not reply.ok
        assert "config.toml:1: feather: cannot be 99" in reply.text
    assert session.look == Look(feather=1)
    path.unlink()
    assert "there is no such config file" in session.controls.apply("reload").text


def test_a_background_that_cannot_be_opened_changes_nothing(path, tmp_path):
    session = Session(path)
    path.write_text('background = "nowhere.jpg"\npreset = "best"\n')
    reply = session.controls.apply("reload")
    assert not reply.ok
    assert "config.toml:1: background: there is no file" in reply.text
    assert (session.look, session.presets) == (Look(feather=1), [])


def test_a_profile_is_taken_and_left(path):
    session = Session(path)
    assert session.say("profile call") == "profile call is taken"
    assert session.look == Look(background="green", feather=2)
    assert session.presets == ["fast"]
    assert session.say("profile none") == "no profile is taken"
    assert session.look == Look(feather=1)
    assert session.presets == ["fast", "balanced"]
    assert "did you mean 'call'?" in session.controls.apply("profile cal").text


def test_a_profile_chosen_while_it_runs_goes_over_the_command_line(path):
    session = Session(path, background="red", mirror=True)
    session.say("profile call")
    assert session.look == Look(background="green", feather=2, mirror=True)
    session.say("reload")
    assert session.look.background == "green"
    session.say("profile none")
    assert session.look == Look(background="red", feather=1, mirror=True)


def test_a_profile_chosen_at_the_start_does_not_and_stays_so_when_read_again(path):
    session = Session(path, "call", background="red")
    assert session.look == Look(background="red", feather=2)
    session.say("reload")
    assert session.look == Look(background="red", feather=2)


def test_what_was_switched_by_hand_stays(path):
    session = Session(path)
    for line in ("freeze on", "view mask", "statistics on", "effect off", "strength 0.9"):
        session.say(line)
    session.say("reload")
    assert session.look == Look(
        feather=1, frozen=True, view="mask", statistics=True, effect_on=False
    )
    session.say("profile call")
    assert session.look.effect_on
    assert session.look.frozen


def test_what_holds_from_the_next_start_on_is_told(path):
    session = Session(path)
    assert session.say("profile film") == "profile film is taken; size: from the next start on"
    path.write_text("max_cpu = 100\nthreads = 1\n[profiles.film]\n")
    assert session.say("reload").endswith("read again; threads, max_cpu: from the next start on")


def test_every_setting_is_either_shown_at_once_or_told():
    shown = set(DEFAULTS) - set(FIXED)
    assert shown == {*Look.__dataclass_fields__, "preset"} - {
        "effect_on",
        "frozen",
        "view",
        "statistics",
    }


def test_a_look_is_saved_and_taken_again(path):
    session = Session(path)
    for line in ("background #102030", "mirror on", "keep largest", "grow -2", "save mine"):
        session.say(line)
    saved = session.look
    session.say("profile call")
    session.say("profile mine")
    assert session.look == saved
    assert path.read_text().startswith(TEXT)
    before = path.read_text()
    assert session.say("save mine") == f"the look was saved as profile mine in {path}"
    assert path.read_text() == before


def test_no_overlay_is_saved_where_the_file_has_one(path, tmp_path):
    (tmp_path / "logo.png").write_bytes(b"")
    path.write_text('overlay = "logo.png"\n')
    session = Session(path)
    session.say("overlay off")
    session.say("save bare")
    session.say("profile none")
    assert session.look.overlay == str(tmp_path / "logo.png")
    session.say("profile bare")
    assert session.look.overlay is None


def test_the_status_tells_the_profiles(path):
    session = Session(path, "call")

    def told() -> tuple[object, object]:
        data = session.controls.apply("status").data
        assert data is not None
        return data["profile"], data["profiles"]

    assert told() == ("call", ["call", "film"])
    session.say("save mine")
    session.say("profile film")
    assert told() == ("film", ["call", "film", "mine"])
    session.say("profile none")
    assert told() == (None, ["call", "film", "mine"])


@pytest.mark.parametrize("name", ["none", "a\x85b", "x" * 100])
def test_names_that_no_profile_can_have(path, name):
    reply = Session(path).controls.apply(f"save {name}")
    assert (reply.ok, path.read_text()) == (False, TEXT)


def test_many_may_save_and_take_at_once(path):
    session = Session(path)
    failed: list[str] = []

    def work(name: str) -> None:
        for _ in range(8):
            for line in (f"save {name}", f"profile {name}", "mirror toggle", "reload"):
                reply = session.controls.apply(line)
                if not reply.ok:
                    failed.append(reply.text)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert replace(session.look, mirror=False) == Look(feather=1)
    assert path.read_text().startswith(TEXT)
