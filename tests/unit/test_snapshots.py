"""Snapshots: what is stored, and what is refused; comparisons of them."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import humanseg
from humanseg.comparison import compare_snapshots
from humanseg.errors import SettingsError, SourceError
from humanseg.models import registry
from humanseg.snapshots import read_snapshot, take_snapshot

SAMPLE = Path(__file__).parent.parent.parent / "samples" / "walk.mp4"
PORTRAIT = SAMPLE.parent / "portrait.png"
FRAMES = [0, 3, 6]


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("snapshots") / "fast"
    return take_snapshot(SAMPLE, folder, frames=FRAMES, preset="fast")


@pytest.fixture
def copied(taken, tmp_path):
    """A snapshot to spoil."""
    shutil.copytree(taken.folder, tmp_path / "copy")
    return tmp_path / "copy"


def edit(folder, **changes):
    path = folder / "snapshot.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def read_grey(path):
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


def write_grey(path, pixels):
    assert cv2.imwrite(str(path), pixels)


def test_masks_are_those_of_the_video_job(taken):
    alphas = {}
    unrounded = taken.facts["engine"].split()[0]
    for matte in humanseg.matte(SAMPLE, "fast", engine=unrounded):
        alphas[matte.frame.index] = matte.alpha
        if matte.frame.index == FRAMES[-1]:
            break
    assert [frame.index for frame in taken.frames] == FRAMES
    for frame in taken.frames:
        stored = read_grey(frame.mask) / 255
        assert np.abs(stored - alphas[frame.index]).max() <= 0.5 / 255 + 1e-6
        assert cv2.imread(str(frame.composite)).shape == (720, 1280, 3)
    assert [frame.name for frame in taken.frames] == ["0.000 s", "0.100 s", "0.200 s"]


def test_the_json_tells_what_made_it(taken):
    stored = json.loads((taken.folder / "snapshot.json").read_text())
    assert stored["humanseg"] == humanseg.__version__
    assert stored["weights"] == {"fast": registry.read_card("fast").sha256}
    assert stored["settings"]["preset"] == "fast"
    assert stored["settings"]["refine"]["radius"] >= 1
    assert stored["source"]["name"] == "walk.mp4"
    assert len(stored["source"]["sha256"]) == 64
    assert stored["versions"]["numpy"] == np.__version__
    assert stored["engine"].split()[0] in ("torch", "openvino")
    assert not stored["engine"].endswith("int8")
    assert 0.1 < stored["frames"][0]["people"] < 0.5


def test_pictures_are_taken_each_for_itself(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    blank = np.full((120, 160, 3), 90, np.uint8)
    assert cv2.imwrite(str(pictures / "2.png"), blank)
    shutil.copy(PORTRAIT, pictures / "10.png")
    taken = take_snapshot(pictures, tmp_path / "out", preset="fast")
    assert [(frame.index, frame.name) for frame in taken.frames] == [(0, "2.png"), (1, "10.png")]
    blank, portrait = (read_grey(frame.mask) for frame in taken.frames)
    assert blank.shape == (120, 160)
    assert blank.mean() < 10 < 60 < portrait.mean()


@pytest.mark.parametrize(
    ("frames", "words"), [([0, 150], "has no frame 150: there are 150"), ([-1], "from 0")]
)
def test_frames_that_are_not_there_leave_nothing_behind(tmp_path, frames, words):
    source = PORTRAIT if frames == [-1] else SAMPLE
    with pytest.raises(humanseg.InputError, match=words):
        take_snapshot(source, tmp_path / "out", frames=frames, preset="fast")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_breaks_off_is_named(tmp_path, make_video):
    whole = make_video("whole.mkv", frames=40, size=(64, 96))
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"broken.mkv: broke off before frame 39"):
        take_snapshot(broken, tmp_path / "out", frames=[0, 39], preset="fast")
    assert not (tmp_path / "out").exists()


def test_other_files_are_never_replaced(tmp_path, copied):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "letter.txt").write_text("mine")
    for folder, overwrite in ((kept, False), (kept, True), (kept / "letter.txt", True)):
        with pytest.raises(SettingsError):
            take_snapshot(PORTRAIT, folder, preset="fast", overwrite=overwrite)
    assert (kept / "letter.txt").read_text() == "mine"
    with pytest.raises(SettingsError, match="holds a snapshot already"):
        take_snapshot(PORTRAIT, copied, preset="fast")
    (copied / "notes.txt").write_text("mine, too")
    take_snapshot(PORTRAIT, copied, preset="fast", overwrite=True)
    names = {path.name for path in copied.iterdir()}
    assert names == {"notes.txt", "snapshot.json", "mask-000000.png", "composite-000000.png"}


def test_a_snapshot_is_no_way_out_of_its_folder(copied):
    entry = {"index": 0, "name": "x", "mask": "../secret.png", "composite": "composite-000000.png"}
    edit(copied, frames=[entry])
    with pytest.raises(SourceError, match="is no name of a file"):
        read_snapshot(copied)


@pytest.mark.parametrize("changes", [{"format": 2}, {"frames": [{}]}, {"frames": 5}])
def test_a_json_of_another_make_is_refused(copied, changes):
    edit(copied, **changes)
    with pytest.raises(SourceError, match=r"snapshot\.json: cannot be read"):
        read_snapshot(copied)


def test_a_folder_without_snapshot_is_refused(tmp_path):
    with pytest.raises(SourceError, match="is no snapshot"):
        read_snapshot(tmp_path)
    with pytest.raises(SourceError, match="there is no such file"):
        read_snapshot(tmp_path / "nowhere")


def test_equal_snapshots_do_not_differ(taken, copied):
    found = compare_snapshots(taken.folder, copied)
    assert (found.min_iou, found.mean_iou, found.max_difference) == (1, 1, 0)
    assert found.changes == ()
    assert [frame.composite_difference for frame in found.frames] == [0, 0, 0]


def test_differences_are_measured(taken, copied):
    before = read_grey(copied / "mask-000003.png")
    after = before.copy()
    after[:, :640] = 0
    write_grey(copied / "mask-000003.png", after)
    edit(copied, engine="abacus", weights={})
    found = compare_snapshots(taken.folder, copied)
    worst = found.worst(1)[0]
    inside, left = before > 127, after > 127
    assert worst.index == 3
    assert worst.iou == found.min_iou == pytest.approx(left.sum() / inside.sum())
    expected = np.abs(before.astype(float) - after).mean() / 255
    assert worst.mask_difference == found.max_difference == pytest.approx(expected)
    assert found.mean_difference == pytest.approx(expected / 3)
    changes = {change.fact: (change.before, change.after) for change in found.changes}
    assert changes["engine"] == (taken.facts["engine"], "abacus")
    assert changes["weights.fast"] == (registry.read_card("fast").sha256, None)


def test_snapshots_of_other_frames_or_sizes_are_not_compared(taken, copied):
    write_grey(copied / "mask-000006.png", np.zeros((36, 64), np.uint8))
    with pytest.raises(SettingsError, match="frame 6 is 64x36, not 1280x720"):
        compare_snapshots(taken.folder, copied)
    entries = json.loads((copied / "snapshot.json").read_text())["frames"]
    edit(copied, frames=entries[:2])
    with pytest.raises(SettingsError, match="has the frames 0,3, not 0,3,6"):
        compare_snapshots(taken.folder, copied)
