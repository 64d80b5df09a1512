"""The config file: what it means, what is over what, and what is said about mistakes in it."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humanseg.config import file as config_file
from humanseg.config.file import COMMAND_LINE, DEFAULT, default_path, explain, read_config, resolve
from humanseg.config.writing import save_profile, template, write_template
from humanseg.errors import SettingsError
from humanseg.live.settings import DEFAULTS, KEYS, LiveSettings, of_look
from humanseg.look.looks import Look

not_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may read and write everything"
)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own config file, which is not there yet."""
    path = tmp_path / "own" / "config.toml"
    path.parent.mkdir()
    monkeypatch.setattr(config_file, "default_path", lambda: path)
    monkeypatch.setattr("humanseg.config.writing.default_path", lambda: path)
    return path


def test_it_is_where_the_system_keeps_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert default_path() == tmp_path / "humanseg" / "config.toml"
    assert default_path().name == "config.toml"


def test_without_a_file_everything_is_a_default(path):
    assert resolve({}) == LiveSettings()
    assert {setting.origin for setting in explain({}).values()} == {DEFAULT}


def test_the_command_line_goes_over_a_profile_over_the_file_over_the_defaults(path):
    path.write_text(
        'mirror = true\nfeather = 2\ngrow = 3\nkeep = "largest"\n'
        "[profiles.call]\nfeather = 4\ngrow = 5\n"
        "[profiles.film]\nfeather = 9\n"
    )
    found = explain({"grow": 6, "mirror": None}, "call")
    told = {key: (setting.value, setting.origin) for key, setting in found.items()}
    assert told["grow"] == (6, COMMAND_LINE)
    assert told["feather"] == (4, f"{path}:6, profile call")
    assert told["mirror"] == (True, f"{path}:1")
    assert told["keep"] == ("largest", f"{path}:4")
    assert told["threshold"] == (0.5, DEFAULT)
    assert resolve({"grow": 6}, "call") == LiveSettings(
        mirror=True, feather=4, grow=6, keep="largest"
    )
    assert resolve({}).feather == 2


def test_false_on_the_command_line_goes_over_true_in_the_file(path):
    path.write_text("mirror = true\n")
    assert not resolve({"mirror": False}).mirror


def test_every_key_can_be_set(path, tmp_path):
    for name in ("beach.jpg", "logo.png"):
        (path.parent / name).write_bytes(b"")
    path.write_text(
        'camera = "Logitech C920"\nsize = "1280x720"\nfps = 30\nformat = "mjpg"\n'
        'virtual_camera = "/dev/video10"\nvirtual_format = "nv12"\n'
        'background = "beach.jpg"\nstrength = 0.8\n'
        'backgrounds = ["blur:0.9", "beach.jpg", "green"]\nmirror = true\nkeep = "centre"\n'
        'threshold = 0.4\nfeather = 1.5\ngrow = -2\noverlay = "logo.png"\nauto_frame = true\n'
        'preset = "fast"\nengine = "torch"\ndevice = "cpu"\nthreads = 2\nmax_cpu = 150\n'
        "gate = false\nalways_on = true\npreview = true\n"
    )
    assert resolve({}) == LiveSettings(
        camera="Logitech C920",
        size=(720, 1280),
        fps=30,
        format="mjpg",
        virtual_camera="/dev/video10",
        virtual_format="nv12",
        background=str(path.parent / "beach.jpg"),
        strength=0.8,
        backgrounds=("blur:0.9", str(path.parent / "beach.jpg"), "green"),
        mirror=True,
        keep="centre",
        threshold=0.4,
        feather=1.5,
        grow=-2,
        overlay=str(path.parent / "logo.png"),
        auto_frame=True,
        preset="fast",
        engine="torch",
        device="cpu",
        threads=2,
        max_cpu=1.5,
        gate=False,
        always_on=True,
        preview=True,
    )
    assert set(read_config().settings) == set(KEYS) == set(DEFAULTS)


@pytest.mark.parametrize(
    ("written", "camera"),
    [("1", 1), ('"1"', 1), ('"/dev/video2"', "/dev/video2"), ('"rtsp://x/y"', "rtsp://x/y")],
)
def test_cameras(path, written, camera):
    path.write_text(f"camera = {written}\n")
    assert resolve({}).camera == camera


def test_a_film_for_a_camera_is_found_beside_the_file(path):
    (path.parent / "walk.mp4").write_bytes(b"")
    path.write_text('camera = "walk.mp4"\n')
    assert resolve({}).camera == str(path.parent / "walk.mp4")


def test_relative_paths_start_from_the_file_and_those_of_the_command_line_from_here(
    path, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (path.parent / "beach.jpg").write_bytes(b"")
    path.write_text('background = "beach.jpg"\n')
    assert resolve({}).background == str(path.parent / "beach.jpg")
    assert resolve({"background": "beach.jpg"}).background == str(tmp_path / "beach.jpg")


def test_a_strength_comes_with_the_blur_that_names_it(path):
    path.write_text('background = "blur:0.8"\n[profiles.weak]\nbackground = "blur:0.1"\n')
    assert (resolve({}).background, resolve({}).strength) == ("blur", 0.8)
    assert resolve({}, "weak").strength == 0.1
    assert resolve({"background": "blur:0.3"}, "weak").strength == 0.3
    assert explain({}, "weak")["strength"].origin == f"{path}:3, profile weak"
    path.write_text('background = "blur:0.8"\nstrength = 0.2\n')
    assert resolve({}).strength == 0.2


def test_an_overlay_can_be_taken_off_by_a_profile_and_the_command_line(path):
    (path.parent / "logo.png").write_bytes(b"")
    path.write_text('overlay = "logo.png"\n[profiles.bare]\noverlay = "off"\n')
    assert resolve({}).overlay == str(path.parent / "logo.png")
    assert resolve({}, "bare").overlay is None
    assert resolve({"overlay": "off"}).overlay is None


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("\nbackgruond = 1\n", 2, "did you mean 'background'?"),
        ("zzz = 1\n", 1, "there is no setting 'zzz' (one of camera, size,"),
        ("[profile.call]\n", 1, "did you mean 'profiles'?"),
        ("[profiles.call]\nmirorr = true\n", 2, "did you mean 'mirror'?"),
        ("# one\nmirror = 1\n", 2, "mirror: cannot be 1 (give true or false)"),
        ('mirror = "yes"\n', 1, "mirror: cannot be 'yes' (give true or false)"),
        ("strength = 2\n", 1, "strength: cannot be 2 (give a number from 0 to 1)"),
        ("strength = nan\n", 1, "strength: cannot be nan"),
        ("threads = 1.5\n", 1, "give a whole number from 1 to 256"),
        ("threads = true\n", 1, "threads: cannot be true"),
        ('keep = "bigest"\n', 1, "keep: cannot be 'bigest' (did you mean 'largest'?"),
        ('preset = "quick"\n', 1, "choose fast, balanced or best"),
        ('engine = "onnx"\n', 1, "engine: cannot be 'onnx'"),
        ('format = "h264"\n', 1, "choose auto, mjpg or yuyv"),
        ('size = "720p"\n', 1, 'width and height, as "1280x720"'),
        ("size = [1280, 720]\n", 1, "size: cannot be [1280, 720]"),
        ("camera = -1\n", 1, "camera: cannot be -1"),
        ("camera = true\n", 1, "camera: cannot be true"),
        ("virtual_camera = 10\n", 1, "a device in quotes"),
        ('virtual_format = "jpeg"\n', 1, "i420"),
        ("max_cpu = 1.5\n", None, ""),
        ("max_cpu = 0.5\n", 1, "give percent, 100 for one core"),
        ('background = ""\n', 1, "background: cannot be ''"),
        ('background = "blur:9"\n', 1, "background: a strength of 9 is not possible"),
        ('backgrounds = "blur"\n', 1, 'a list, as ["blur", "beach.jpg"]'),
        ('backgrounds = ["blur",\n  7]\n', 1, "backgrounds: cannot be 7"),
        ("profiles = 3\n", 1, "'profiles' is no table of tables"),
        ("[profiles]\nmirror = true\n", 1, "'profiles' is no table of tables"),
        ("fps = 1979-05-27\n", 1, "fps: cannot be 1979-05-27"),
        ("mirror = true\nmirror = false\n", 2, "is not TOML: Cannot overwrite a value"),
        ("mirror =\n", 1, "is not TOML: Invalid value"),
        ('background = "green\n', 1, "is not TOML: Illegal character"),
        ("backgrounds = [\n", 1, "is not TOML"),
        ("mirror\n", 1, "is not TOML"),
        ('background = "nowhere.jpg"\n', 1, "background: there is no file '"),
        ('[profiles.call]\noverlay = "nowhere.png"\n', 2, "overlay: there is no file '"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(path, text, line, expected):
    path.write_text(text)
    profile = "call" if "[profiles.call]" in text else None
    if line is None:
        assert resolve({}, profile)
        return
    with pytest.raises(SettingsError) as raised:
        resolve({}, profile)
    assert str(raised.value).startswith(f"{path}:{line}")
    assert expected in str(raised.value)


def test_a_mistake_in_another_profile_is_told_too(path):
    path.write_text("[profiles.call]\nmirror = true\n[profiles.film]\nmirror = 3\n")
    with pytest.raises(SettingsError, match=r"config\.toml:4: mirror"):
        resolve({}, "call")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"mirror = \xff\n", "is not text in UTF-8"),
        (b"threads = " + b"1" * 5000 + b"\n", "is not TOML that can be read"),
        (b"fps = " + b"[" * 50_000, "is not TOML"),
    ],
)
def test_what_cannot_be_read_at_all(path, content, expected):
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=expected):
        resolve({})


def test_a_folder_in_its_place(path):
    path.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        resolve({})


@not_root
def test_a_file_of_somebody_else(path):
    path.write_text("mirror = true\n")
    path.chmod(0)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
        resolve({})


def test_a_mark_at_the_beginning_is_no_mistake(path):
    path.write_bytes(b"\xef\xbb\xbfmirror = true\r\n")
    assert resolve({}).mirror


def test_a_file_that_is_named_must_be_there(path, tmp_path):
    with pytest.raises(SettingsError, match=r"there is no such config file.*config init"):
        resolve({}, path=tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text("mirror = true\n")
    assert resolve({}, path=tmp_path / "mine.toml").mirror


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cal", "did you mean 'call'?"), ("x", "one of call, film"), ("", "one of call, film")],
)
def test_a_profile_that_is_not_there(path, name, expected):
    path.write_text("[profiles.call]\n[profiles.film]\n")
    with pytest.raises(SettingsError) as raised:
        resolve({}, name)
    assert expected in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_profile_where_there_are_none(path):
    with pytest.raises(SettingsError, match=r"write a table \[profiles.call\]"):
        resolve({}, "call")


@given(st.text())
@settings(max_examples=200)
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    told = str(path)
    try:
        read_config(path)
    except SettingsError as error:
        told = str(error)
    assert str(path) in told


def test_the_template_sets_nothing_and_says_all(path):
    assert write_template() == path
    assert resolve({}) == LiveSettings()
    assert all(f"#{key} = " in template() for key in KEYS)


def test_every_example_of_the_template_is_right(path):
    for key in KEYS:
        line = next(line for line in template().splitlines() if line.startswith(f"#{key} ="))
        path.write_text(line.removeprefix("#") + "\n")
        assert set(read_config().settings) == {key}
    whole = "\n".join(
        line.removeprefix("#") for line in template().splitlines() if not line.startswith("# ")
    )
    path.write_text(whole)
    assert set(read_config().settings) == set(KEYS)
    assert set(read_config().profiles) == {"call"}


def test_a_file_that_is_there_is_not_overwritten_by_the_template(path):
    path.write_text("mirror = true\n")
    with pytest.raises(SettingsError, match=r"exists already.*--overwrite"):
        write_template()
    assert path.read_text() == "mirror = true\n"
    write_template(overwrite=True)
    assert path.read_text() == template()


def test_the_template_makes_its_folders(tmp_path):
    write_template(tmp_path / "a" / "b" / "config.toml")
    assert (tmp_path / "a" / "b" / "config.toml").exists()
    with pytest.raises(SettingsError, match="cannot be written"):
        write_template(tmp_path / "a" / "b" / "config.toml" / "c.toml")


LOOK = Look(
    background="green",
    strength=0.7,
    mirror=True,
    keep="centre",
    threshold=0.4,
    feather=1.5,
    grow=-2,
    auto_frame=True,
)


def test_a_saved_look_is_the_same_when_it_is_taken_again(path):
    for number, look in enumerate((Look(), LOOK, replace(LOOK, background="blur"))):
        save_profile(f"look {number}", of_look(look))
        assert resolve({}, f"look {number}").look() == look


def test_saving_touches_nothing_else(path):
    text = (
        "# mine\nmirror = true # yes\n\n[profiles.call] # at work\n"
        "camera = 2 # the good one\ngrow = 3 # a little\n\n[profiles.film]\nmirror = false\n"
    )
    path.write_text(text)
    save_profile("call", of_look(LOOK))
    written = path.read_text()
    for line in text.replace("grow = 3 # a little", "grow = -2 # a little").splitlines():
        assert line in written.splitlines()
    found = resolve({}, "call")
    assert (found.camera, found.look()) == (2, LOOK)
    before = tomllib.loads(text)
    after = tomllib.loads(written)
    assert after["profiles"]["film"] == before["profiles"]["film"]
    assert after["mirror"] is True


def test_saving_makes_the_file_and_keeps_its_mode_its_mark_and_links_to_it(path, tmp_path):
    assert save_profile("call", {"mirror": True}) == path
    path.chmod(0o640)
    moved = tmp_path / "dotfiles.toml"
    path.rename(moved)
    moved.write_bytes(b"\xef\xbb\xbf" + moved.read_bytes())
    path.symlink_to(moved)
    save_profile("call", {"grow": 1.0})
    assert path.is_symlink()
    assert moved.read_bytes() == b"\xef\xbb\xbf[profiles.call]\nmirror = true\ngrow = 1\n"
    assert stat.S_IMODE(moved.stat().st_mode) == 0o640
    assert sorted(each.name for each in moved.parent.iterdir()) == ["dotfiles.toml", "own"]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 65, "\x7f", "\udce9"])
def test_what_is_no_name_of_a_profile(path, name):
    with pytest.raises(SettingsError, match="a profile cannot be called"):
        save_profile(name, {})
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    ["[profiles]\ncall = { mirror = true }\n", "profiles.call.mirror = true\n", "mirror = \n"],
)
def test_a_file_that_cannot_be_changed_safely_is_left_as_it_is(path, text):
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"config\.toml:1"):
        save_profile("call", {"mirror": False})
    assert path.read_text() == text


def test_a_path_that_no_file_can_hold(path):
    with pytest.raises(SettingsError, match="cannot hold this look"):
        save_profile("call", {"background": os.fsdecode(b"/latin-\xe9.png")})
    assert not path.exists()


@not_root
def test_a_folder_that_cannot_be_written(path):
    path.parent.chmod(0o500)
    try:
        with pytest.raises(SettingsError, match="cannot be written: Permission denied"):
            save_profile("call", {"mirror": True})
    finally:
        path.parent.chmod(0o700)


def test_the_settings_of_a_look_are_all_of_it_that_lasts():
    passing = {"effect_on", "frozen", "view", "statistics", "backgrounds"}
    assert set(of_look(Look())) == set(asdict(Look())) - passing
    assert set(of_look(Look())) <= set(KEYS)
