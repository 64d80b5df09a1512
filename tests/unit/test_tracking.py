"""What a run leaves to look at: logs, TensorBoard's events, curves, sheets, Weights & Biases."""

import csv
import json
import struct
import sys
import types

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from humanseg.errors import MissingExtraError, SinkError
from humanseg_training.evaluate import Truths
from humanseg_training.pictures import curves, sheet
from humanseg_training.tensorboard import EventFile, _checksum, read_events
from humanseg_training.tracking import Tracker, read_log

SHEET = np.full((20, 30, 3), 128, np.uint8)


def line(step, dice=0.5):
    scores = {"dice": dice, "pooled_dice": 0.6, "iou": 0.4, "boundary_f": 0.3}
    facts = {"steps": 30, "epoch": step / 10, "pixels": 1024, "learning_rate": 0.001, "seconds": 9}
    return {"step": step, **facts, "loss": 1 / step, **scores}


def track(out, *steps, begin=0, wandb=""):
    with Tracker(out, begin=begin, config={"name": "tiny"}, wandb=wandb) as tracker:
        for step in steps:
            tracker.add(line(step), SHEET)


def test_every_scoring_is_in_both_logs_and_on_a_sheet(tmp_path):
    track(tmp_path, 10, 20)
    lines = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [line(10), line(20)]
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["10", "20"]
    assert [float(row["loss"]) for row in rows] == [0.1, 0.05]
    names = [path.name for path in sorted((tmp_path / "sheets").iterdir())]
    assert names == ["step-000010.jpg", "step-000020.jpg"]
    assert cv2.imread(str(tmp_path / "curves.png")) is not None


def test_a_resumed_run_forgets_what_came_after_its_checkpoint(tmp_path):
    track(tmp_path, 10, 20)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 25, "lo')  # killed in the middle of a line
    track(tmp_path, 21, begin=10)
    assert [entry["step"] for entry in read_log(tmp_path / "log.jsonl")] == [10, 21]
    track(tmp_path, begin=0)
    assert read_log(tmp_path / "log.jsonl") == []


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    with Tracker(tmp_path, begin=0, config={"name": "tiny"}) as tracker:

        def refuse(*arguments, **options):
            raise OSError(28, "No space left on device", "log.jsonl")

        monkeypatch.setattr("humanseg_training.tracking._replace", refuse)
        with pytest.raises(SinkError, match="No space left on device"):
            tracker.add(line(10), SHEET)
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be written"):
        track(tmp_path / "file" / "run", 10)


def fields(message):
    """Field number -> values of an encoded protocol buffer."""
    found = {}
    while message:
        key, message = message[0], message[1:]
        if key & 7 == 1:
            value, message = struct.unpack("<d", message[:8])[0], message[8:]
        elif key & 7 == 5:
            value, message = struct.unpack("<f", message[:4])[0], message[4:]
        else:
            value = shift = 0
            while True:
                digit, message = message[0], message[1:]
                value |= (digit & 127) << shift
                shift += 7
                if digit < 128:
                    break
            if key & 7 == 2:
                value, message = message[:value], message[value:]
        found.setdefault(key >> 3, []).append(value)
    return found


def test_checksums_are_those_of_the_format():
    # CRC-32C of "123456789" is 0xE3069283; records hold it rotated by 15 bits, plus a constant.
    crc = 0xE3069283
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert _checksum(b"123456789") == struct.pack("<I", masked)


def test_events_hold_scalars_and_pictures(tmp_path):
    events = EventFile(tmp_path)
    events.scalars({"loss": 0.25, "dice": 0.5}, step=300)
    events.image("validation", b"jpeg", (20, 30), step=301)
    version, numbers, picture = (fields(event) for event in read_events(events.path))
    assert version[3] == [b"brain.Event:2"]
    assert numbers[2] == [300]
    values = [fields(value) for value in fields(numbers[5][0])[1]]
    assert {value[1][0]: value[2][0] for value in values} == {b"loss": 0.25, b"dice": 0.5}
    assert picture[2] == [301]
    [value] = [fields(value) for value in fields(picture[5][0])[1]]
    assert fields(value[4][0]) == {1: [20], 2: [30], 3: [3], 4: [b"jpeg"]}
    content = bytearray(events.path.read_bytes())
    content[-6] ^= 1
    events.path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        list(read_events(events.path))


def test_tensorboard_itself_reads_the_events(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track(tmp_path, 10, 20)
    accumulator = EventAccumulator(str(tmp_path / "tensorboard"))
    accumulator.Reload()
    assert [(e.step, e.value) for e in accumulator.Scalars("dice")] == [(10, 0.5), (20, 0.5)]
    assert [(e.step, e.height) for e in accumulator.Images("validation")] == [(10, 20), (20, 20)]


def test_weights_and_biases_is_used_when_asked_for(tmp_path, monkeypatch):
    calls = []

    class Run:
        def log(self, numbers, step):
            calls.append((step, numbers["loss"]))

        def finish(self, exit_code):
            calls.append(("finish", exit_code))

    def init(**options):
        calls.append((options["project"], options["name"], options["resume"], options["id"]))
        return Run()

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    track(tmp_path, 10)
    assert calls == []
    track(tmp_path, 10, wandb="people")
    track(tmp_path, begin=10, wandb="people")
    project, name, resume, identity = calls[0]
    assert (project, name, resume) == ("people", "tiny", None)
    assert calls[1:3] == [(10, 0.1), ("finish", 0)]
    assert calls[3] == ("people", "tiny", "allow", identity)


def test_weights_and_biases_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match="pip install wandb"):
        track(tmp_path / "run", 10, wandb="people")
    assert not (tmp_path / "run").exists()


def test_a_sheet_shows_picture_truth_and_prediction():
    truth = np.zeros((40, 40), bool)
    truth[:, 20:] = True
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 255  # RGB
    truths = Truths(("a", "b", "c"), (red, red, red), (truth, truth, truth))
    shown = sheet(truths, lambda images: [np.full((40, 40), 0.5, np.float32) for _ in images])
    assert shown.shape == (2 * 160, 2 * 3 * 160, 3)
    assert shown[80, 80].tolist() == [0, 0, 255]  # BGR
    assert shown[80, 160 + 40].tolist() == [0, 0, 0]
    assert shown[80, 160 + 120].tolist() == [255, 255, 255]
    assert shown[80, 320 + 80].tolist() == [128, 128, 128]
    assert shown[160:, 480:].max() == 0  # three pictures leave the fourth place empty


def test_curves_are_drawn_for_any_log():
    for lines in ([line(1)], [line(step, dice=step / 30) for step in range(1, 20)]):
        drawn = curves(lines)
        assert drawn.ndim == 3
        assert (drawn < 250).any()
    assert curves([{**line(1), "loss": float("nan")}]).shape == drawn.shape
