"""Pictures and folders through the whole job, with an engine that takes bright for people."""

import cv2
import numpy as np
import pytest

import humanseg
from humanseg import jobs
from humanseg.errors import InputError, PartialError, SettingsError, SourceError
from humanseg.segmenter import Segmenter
from humanseg.testing import BrightnessEngine


@pytest.fixture(autouse=True)
def bright_people(monkeypatch):
    monkeypatch.setattr(
        jobs, "Segmenter", lambda *_, **__: Segmenter.from_engine(BrightnessEngine())
    )


def scene(path, size=(90, 120), person=True):
    pixels = np.full((*size, 3), (30, 20, 10), np.uint8)
    if person:
        pixels[20:, 30:80] = 250
    cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def folder(tmp_path):
    album = tmp_path / "album"
    album.mkdir()
    for index in (1, 2, 10):
        scene(album / f"picture {index}.png")
    scene(album / "tall.jpg", size=(120, 90))
    (album / "notes.txt").write_text("no picture")
    return album


def test_a_mask_is_grey_and_of_the_pictures_size(tmp_path):
    source = scene(tmp_path / "me.png")
    summary = humanseg.process_images(source, tmp_path / "mask.png", output="mask")
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (90, 120)
    assert mask.dtype == np.uint8
    assert mask[60, 55] == 255
    assert mask[5, 5] == 0
    assert (summary.frames, summary.promised) == (1, 1)
    assert summary.target == tmp_path / "mask.png"


def test_alpha_is_a_transparent_picture(tmp_path):
    humanseg.process_images(scene(tmp_path / "me.png"), tmp_path / "cut.png", output="alpha")
    cut = cv2.imread(str(tmp_path / "cut.png"), cv2.IMREAD_UNCHANGED)
    assert cut.shape == (90, 120, 4)
    assert tuple(cut[60, 55]) == (250, 250, 250, 255)
    assert cut[5, 5, 3] == 0


def test_foreground_stands_before_black(tmp_path):
    humanseg.process_images(scene(tmp_path / "me.png"), tmp_path / "fg.png", output="foreground")
    cut = cv2.imread(str(tmp_path / "fg.png"))
    assert tuple(cut[60, 55]) == (250, 250, 250)
    assert tuple(cut[5, 5]) == (0, 0, 0)


def test_a_colour_stands_behind_the_person(tmp_path):
    humanseg.process_images(scene(tmp_path / "me.png"), tmp_path / "out.png", background="#ff0000")
    out = cv2.imread(str(tmp_path / "out.png"))
    assert tuple(out[5, 5]) == (0, 0, 255)
    assert tuple(out[60, 55]) == (250, 250, 250)


def test_a_folder_goes_to_a_folder_with_the_same_names(folder, tmp_path):
    seen = []
    summary = humanseg.process_images(folder, tmp_path / "out", on_progress=seen.append)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"picture 1.png", "picture 2.png", "picture 10.png", "tall.jpg"}
    assert cv2.imread(str(tmp_path / "out" / "tall.jpg")).shape == (120, 90, 3)
    assert summary.frames == summary.promised == 4
    assert seen[-1].frames == 4


def test_masks_of_a_folder_are_pngs(folder, tmp_path):
    humanseg.process_images(folder, tmp_path / "masks", output="mask")
    assert (tmp_path / "masks" / "tall.png").exists()
    assert {path.suffix for path in (tmp_path / "masks").iterdir()} == {".png"}


def test_a_picture_can_go_into_a_folder(tmp_path):
    (tmp_path / "out").mkdir()
    humanseg.process_images(scene(tmp_path / "me.png"), tmp_path / "out")
    assert (tmp_path / "out" / "me.png").exists()


def test_nothing_is_replaced_unasked(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "picture 10.png").write_text("precious")
    with pytest.raises(SettingsError, match="--overwrite"):
        humanseg.process_images(folder, out)
    assert [path.name for path in out.iterdir()] == ["picture 10.png"]
    humanseg.process_images(folder, out, overwrite=True)
    assert cv2.imread(str(out / "picture 10.png")) is not None


def test_a_damaged_picture_in_a_folder_is_left_out_and_told(folder, tmp_path):
    (folder / "broken.png").write_bytes(b"not really")
    with pytest.raises(PartialError, match="4 of 5 pictures") as caught:
        humanseg.process_images(folder, tmp_path / "out")
    assert caught.value.summary.frames == 4
    assert "broken.png" in caught.value.summary.warnings[0]
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_ctrl_c_says_how_many_pictures_are_done(folder, tmp_path):
    def press_ctrl_c(progress):
        raise KeyboardInterrupt

    with pytest.raises(humanseg.Interrupted) as caught:
        humanseg.process_images(folder, tmp_path / "out", on_progress=press_ctrl_c)
    assert (caught.value.kept, caught.value.frames) == (tmp_path / "out", 4)


def test_damaged_pictures_alone_are_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not really")
    with pytest.raises(SourceError, match=r"broken\.png"):
        humanseg.process_images(tmp_path / "broken.png", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_two_pictures_of_one_stem_are_refused_as_masks(folder, tmp_path):
    scene(folder / "tall.png")
    with pytest.raises(SettingsError, match="two pictures"):
        humanseg.process_images(folder, tmp_path / "out", output="mask")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda tmp: (tmp / "nowhere.png", tmp / "out.png"),
        lambda tmp: (tmp / "empty", tmp / "out"),
        lambda tmp: (scene(tmp / "me.png"), tmp / "me.png"),
        lambda tmp: (scene(tmp / "me.png"), tmp / "out.tiff"),
        lambda tmp: (scene(tmp / "me.png"), tmp / "missing" / "deep" / "out.png"),
        lambda tmp: (scene(tmp / "me.png"), tmp / "me.png" / "out.png"),
    ],
    ids=["missing", "empty folder", "onto itself", "unknown suffix", "missing folder", "in a file"],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(make, tmp_path):
    (tmp_path / "empty").mkdir()
    source, target = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    content = source.read_bytes() if source.is_file() else b""
    with pytest.raises(InputError):
        humanseg.process_images(source, target, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert (source.read_bytes() if source.is_file() else b"") == content


def test_a_folder_that_may_not_be_made_is_said_before_anything_is_read(
    folder, tmp_path, monkeypatch
):
    # A superuser may write everywhere, so the system's answer is given by hand.
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(SettingsError, match="read-only"):
        humanseg.process_images(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [{"output": "hologram"}, {"preset": "turbo"}, {"background": "blur:9"}]
)
def test_wrong_options_are_refused_before_anything_is_written(wrong, tmp_path):
    with pytest.raises(SettingsError):
        humanseg.process_images(scene(tmp_path / "me.png"), tmp_path / "out.png", **wrong)
    assert not (tmp_path / "out.png").exists()
