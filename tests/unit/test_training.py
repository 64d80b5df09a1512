"""Training on a handful of drawn pictures: data, schedule, losses, resuming."""

import dataclasses
import json
import os
import signal
import threading

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("albumentations", reason="the extra 'training' is not installed")

from humanseg.errors import (  # noqa: E402
    SettingsError,
    SinkError,
    TrainingDataError,
    WeightsError,
)
from humanseg.models import registry  # noqa: E402
from humanseg_training.average import MovingAverage  # noqa: E402
from humanseg_training.batches import Batches  # noqa: E402
from humanseg_training.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from humanseg_training.config import Augmentation, DataSet, Stage  # noqa: E402
from humanseg_training.data import is_held_out, list_pairs  # noqa: E402
from humanseg_training.ensemble_fit import fit_ensemble  # noqa: E402
from humanseg_training.evaluate import evaluate  # noqa: E402
from humanseg_training.loop import train  # noqa: E402
from humanseg_training.predict import predictor  # noqa: E402
from humanseg_training.schedule import Schedule, one_cycle  # noqa: E402
from humanseg_training.stopping import TrainingInterrupted, TrainingStopped  # noqa: E402


def test_batches_depend_on_nothing_but_seed_and_step(root, small_config):
    one, other = (Batches(small_config(), root) for _ in range(2))
    for step in (0, 7):
        first = one.batch(step, pixels=1024)
        again = other.batch(step, pixels=1024)
        np.testing.assert_array_equal(first.images, again.images)
        np.testing.assert_array_equal(first.masks, again.masks)
    assert not np.array_equal(one.batch(0, pixels=1024).images.mean(), first.images.mean())


def test_batches_have_the_sizes_and_ranges_of_the_network(root, small_config):
    shapes = set()
    batches = Batches(small_config(), root)
    for step in range(20):
        batch = batches.batch(step, pixels=6912)
        n, c, h, w = batch.images.shape
        assert (n, c) == (4, 3)
        assert h % 16 == w % 16 == 0
        assert batch.masks.shape == batch.weights.shape == (4, 1, h, w)
        for plane in (batch.images, batch.masks, batch.weights):
            assert plane.dtype == np.float32
            assert plane.min() >= 0
            assert plane.max() <= 1
        shapes.add((h, w))
    assert len(shapes) >= 3


def test_some_samples_show_nobody(root, small_config):
    config = small_config(augmentation=Augmentation(empty=1.0, second_person=0.0))
    batch = Batches(config, root).batch(0, pixels=1024)
    assert batch.masks.max() == 0
    assert batch.weights.min() == 1


def test_unsure_soft_labels_do_not_count(root, small_config):
    for path in (root / "train" / "masks").iterdir():
        soft = cv2.imread(str(path), 0)
        soft[:20] = 128
        cv2.imwrite(str(path), soft)
    data = (DataSet("train/images", "train/masks", weight=0.6, ignore_low=0.2, ignore_high=0.8),)
    batches = Batches(small_config(data=data), root)
    weights = np.concatenate([batches.batch(s, pixels=1024).weights.ravel() for s in range(8)])
    found = {round(float(value), 2) for value in np.unique(weights)}
    assert found == {0.0, 0.6, 1.0}


def test_held_out_pictures_are_never_trained_on(root, small_config):
    config = small_config()
    pairs = list_pairs(root, config.data[0])
    held = [pair for pair in pairs if is_held_out(pair.image, config.holdout)]
    assert 0 < len(held) < len(pairs)
    assert Batches(config, root).picture_count == len(pairs) - len(held)


def test_learning_rate_rises_then_falls_in_every_stage(small_config):
    stages = (Stage(1024, 10, 1e-2), Stage(4096, 5, 1e-3))
    schedule = Schedule(small_config(stages=stages), picture_count=40)
    assert schedule.steps == 150
    rates = [schedule.at(step).learning_rate for step in range(schedule.steps)]
    assert max(rates[:100]) == pytest.approx(1e-2, rel=0.01)
    assert max(rates[100:]) == pytest.approx(1e-3, rel=0.01)
    assert rates[99] < 1e-4
    assert schedule.at(99).stage.pixels == 1024
    assert schedule.at(100).stage.pixels == 4096
    assert one_cycle(0.0) == pytest.approx(1 / 20)
    with pytest.raises(ValueError, match="150 steps"):
        schedule.at(150)


def test_the_average_follows_slowly_and_includes_statistics():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2))
    average = MovingAverage(network, decay=0.9)
    before = average.network[0].weight.clone()
    with torch.no_grad():
        network[0].weight += 1
        network[1].running_mean += 1
    average.update(network, step=10_000)
    torch.testing.assert_close(average.network[0].weight, before + 0.1)
    torch.testing.assert_close(average.network[1].running_mean, torch.full((2,), 0.1))
    assert not any(value.requires_grad for value in average.network.parameters())


def test_a_few_steps_learn_to_find_the_blob(root, tmp_path, small_config):
    config = small_config(stages=(Stage(32 * 32, 20, 1e-2),), average_decay=0.9, score_epochs=10)
    card = train(config, root, tmp_path / "run")
    loaded = registry.read_card("tiny", card.parent)
    assert loaded.scores["dice"] > 0.75
    assert loaded.training["steps"] == Schedule(config, loaded.training["pictures"]).steps
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]
    scores = evaluate(root, config.validation, predictor(registry.load("tiny", card.parent)))
    assert scores.dice == pytest.approx(loaded.scores["dice"], abs=0.02)


def test_a_stopped_run_resumes_where_it_was(root, tmp_path, small_config):
    config = small_config()
    whole = train(config, root, tmp_path / "whole")
    stop = threading.Event()

    def interrupt_once(line):
        if not stop.is_set():
            stop.set()
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingInterrupted, match="--resume"):
        train(config, root, tmp_path / "parts", on_line=interrupt_once)
    begin = load_checkpoint(tmp_path / "parts" / "checkpoint.pt", config).step
    assert 0 < begin < 20
    parts = train(config, root, tmp_path / "parts", resume=True)
    one = registry.load("tiny", whole.parent).state_dict()
    other = registry.load("tiny", parts.parent).state_dict()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=2e-3, rtol=2e-2)


def test_a_checkpoint_of_another_network_is_refused(root, tmp_path, small_config):
    train(small_config(), root, tmp_path)
    with pytest.raises(WeightsError, match="width 8, the config asks for 16"):
        train(small_config(width=16), root, tmp_path, resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="no readable checkpoint"):
        train(small_config(), root, tmp_path, resume=True)
    with pytest.raises(WeightsError, match="no checkpoint to resume"):
        train(small_config(), root, tmp_path / "elsewhere", resume=True)


def test_a_loss_that_is_no_number_stops_the_run(root, tmp_path, small_config):
    config = small_config(stages=(Stage(1024, 4, float("nan")),))
    with pytest.raises(TrainingStopped, match="the loss of step"):
        train(config, root, tmp_path)


def test_the_better_network_gets_the_larger_share(root, tmp_path, small_config):
    config = small_config(stages=(Stage(1024, 20, 1e-2),), average_decay=0.9, score_epochs=20)
    train(config, root, tmp_path)
    torch.manual_seed(5)
    registry.save(
        registry.build("linknet", 8),
        tmp_path,
        "untrained",
        architecture="linknet",
        width=8,
        training={},
        scores={},
    )
    names = ["tiny", "untrained"]
    shares = fit_ensemble(names, root, config.data, holdout=config.holdout, folder=tmp_path)
    assert shares["tiny"] > 0.8
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    registry.save_shares(shares, {"pictures": "held out"}, tmp_path)
    ensemble = registry.load_ensemble(names, tmp_path)
    assert ensemble.shares[0] == pytest.approx(shares["tiny"], abs=1e-3)


def test_calibration_meets_what_each_convolution_is_shown(root, tmp_path, small_config):
    from humanseg_training.calibrate import calibrate

    config = small_config(stages=(Stage(1024, 1, 1e-2),))
    train(config, root, tmp_path)
    options = {"holdout": config.holdout, "folder": tmp_path}
    ranges = calibrate("tiny", root, config.data, **options)
    first = next(iter(ranges))
    # The picture itself, normalised: zero lies within, and nothing is wider than black to white.
    assert -3 < ranges[first][0] < 0 < ranges[first][1] < 3
    assert all(low <= high for low, high in ranges.values())
    registry.save_ranges("tiny", ranges, {}, tmp_path)
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        exact, rounded = (
            load("tiny", tmp_path)(picture) for load in (registry.load, registry.load_quantized)
        )
    assert 0 < (exact - rounded).abs().mean() < 0.2 * exact.std() + 0.05
    with pytest.raises(TrainingDataError, match="kept out"):
        calibrate("tiny", root, config.data, holdout=0, folder=tmp_path)


def test_a_teacher_replaces_labels_and_fills_what_was_unsure(root, tmp_path, small_config):
    from humanseg_training.learner import Learner
    from humanseg_training.team import Team

    torch.manual_seed(1)
    facts = {"architecture": "linknet", "width": 4, "training": {}, "scores": {}}
    registry.save(registry.build("linknet", 4), tmp_path / "weights", "old", **facts)
    images = torch.rand(2, 3, 32, 32)
    masks, weights = torch.ones(2, 1, 32, 32), torch.full((2, 1, 32, 32), 0.6)
    weights[..., :8] = 0
    opinion = torch.sigmoid(registry.load("old", tmp_path / "weights")(images)).detach()

    def taught(share):
        config = small_config(teacher=("old",), teacher_share=share, precision="f32")
        return Learner(config, Team("cpu"), tmp_path / "weights")._taught(images, masks, weights)

    labels, counts = taught(1.0)
    torch.testing.assert_close(labels, opinion)
    labels, counts = taught(0.25)
    torch.testing.assert_close(labels[..., 8:], (0.75 + 0.25 * opinion)[..., 8:])
    torch.testing.assert_close(labels[..., :8], opinion[..., :8])
    assert counts[..., :8].unique().tolist() == [0.25]
    torch.testing.assert_close(counts[..., 8:], weights[..., 8:])


def test_a_network_learns_from_a_teacher_what_labels_do_not_say(root, tmp_path, small_config):
    """The labels are turned round; the teacher, trained on the right ones, knows better."""
    config = small_config(stages=(Stage(1024, 16, 1e-2),), average_decay=0.9, score_epochs=16)
    train(config, root, tmp_path / "teacher")
    for path in (root / "train" / "masks").iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path), 0))
    scores = []
    for name, teacher in (("taught", ("tiny",)), ("alone", ())):
        student = dataclasses.replace(config, name=name, teacher=teacher, teacher_share=1.0)
        card = train(student, root, tmp_path / name, weights_folder=tmp_path / "teacher")
        scores.append(registry.read_card(name, card.parent).scores["dice"])
    assert scores[0] > 0.7 > scores[1]


@pytest.mark.parametrize("view", ["colour", "motion"])
def test_views_of_a_scene_come_to_agree(root, tmp_path, view, small_config):
    augmentation = Augmentation(webcam=0.8, low_light=0.5)
    rates = []
    for weight in (1e-6, 20.0):
        config = small_config(
            consistency=weight,
            consistency_view=view,
            augmentation=augmentation,
            stages=(Stage(1024, 4, 3e-3),),
            score_epochs=4,
            precision="f32",
        )
        out = tmp_path / f"{view}{weight}"
        train(config, root, out)
        network = registry.load("tiny", out)
        rates.append(_disagreement(network, Batches(config, root)))
    assert rates[1] < rates[0]


def _disagreement(network, batches):
    apart = []
    for step in range(500, 504):
        batch = batches.batch(step, pixels=1024)
        with torch.inference_mode():
            one, two = (
                torch.sigmoid(network(torch.from_numpy(planes)))
                for planes in (batch.images, batch.views)
            )
        apart.append(float((one - two).abs().mean()))
    return np.mean(apart)


def test_moved_views_are_the_same_scene():
    from humanseg_training.views import Motion

    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij")
    planes = torch.stack([rows, columns])[None].repeat(3, 1, 1, 1)
    motion = Motion(1, 5, range(3))
    moved, seen = motion.move(planes), motion.seen(planes)
    shift = (moved - planes).abs().amax(dim=(1, 2, 3))
    assert (shift > 0.2).all()
    assert (shift < 12).all()
    assert 0.5 < seen.mean() < 1
    again = Motion(1, 5, range(1, 3)).move(planes[1:])
    torch.testing.assert_close(again, moved[1:])
    assert not torch.equal(Motion(1, 6, range(3)).move(planes), moved)


def test_a_run_that_gets_no_better_ends_early_with_its_best_weights(root, tmp_path, small_config):
    # The second stage destroys what the first has learned.
    stages = (Stage(1024, 12, 1e-2), Stage(1024, 40, 3.0))
    config = small_config(stages=stages, average_decay=0.5, early_stop=3, score_epochs=2)
    card = train(config, root, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    best = max(line["dice"] for line in lines)
    assert lines[-1]["step"] < lines[-1]["steps"]
    assert all(line["dice"] <= best for line in lines[-3:])
    assert registry.read_card("tiny", card.parent).scores["dice"] == best
    steps = registry.read_card("tiny", card.parent).training["steps"]
    assert steps == lines[-1]["step"]
    train(config, root, tmp_path, resume=True)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == len(lines)


def test_a_tuner_is_trained_behind_frozen_weights(root, tmp_path, small_config):
    from humanseg_training.mask_tuner import load_tuner

    config = small_config(stages=(Stage(1024, 8, 1e-2),), average_decay=0.9)
    train(config, root, tmp_path)
    tuned = dataclasses.replace(config, name="tuned", network="", tuner_behind=("tiny",))
    path = train(tuned, root, tmp_path / "tuner", weights_folder=tmp_path)
    assert path.name == "tuned.tuner.safetensors"
    network = registry.load("tiny", tmp_path)
    tuner = load_tuner(path, network, ["tiny"], tmp_path)
    before = evaluate(root, config.validation, predictor(network)).dice
    after = evaluate(root, config.validation, predictor(tuner)).dice
    assert after > before - 0.02
    assert any(value.abs().sum() > 0 for value in tuner.layers[-1].parameters())


def test_a_loss_that_is_no_number_names_step_and_pictures_and_keeps_the_weights(
    root, tmp_path, small_config, monkeypatch
):
    from humanseg_training import learner

    usual = learner.segmentation_loss
    seen = []

    def fail_late(logits, *arguments, **options):
        seen.append(1)
        return usual(logits * float("nan" if len(seen) > 8 else 1), *arguments, **options)

    monkeypatch.setattr(learner, "segmentation_loss", fail_late)
    with pytest.raises(TrainingStopped) as raised:
        train(small_config(), root, tmp_path)
    error = raised.value
    assert "the loss of step 8 is nan" in error.what
    assert str(root / "train" / "images") in error.what
    assert str(tmp_path / "checkpoint.pt") in error.hint
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt", small_config())
    assert checkpoint.step == 5
    assert all(value.isfinite().all() for value in checkpoint.network.values())
    monkeypatch.setattr(learner, "segmentation_loss", usual)
    train(small_config(), root, tmp_path, resume=True)


def test_only_pictures_that_gave_no_numbers_are_named(root, tmp_path, small_config):
    from humanseg_training.learner import Learner
    from humanseg_training.team import Team

    batch = Batches(small_config(), root).batch(0, pixels=1024)
    batch.images[2] = np.nan
    learner = Learner(small_config(precision="f32"), Team("cpu"), tmp_path)
    learner.network.eval()
    learner._joined = learner.network
    # In evaluation mode no sample touches another one through the batch norms.
    logits, _ = learner._loss(batch, 0)
    with pytest.raises(TrainingStopped) as raised:
        learner._refuse("the loss of step 0 is nan", batch, logits)
    assert raised.value.what.endswith(f"its pictures: {batch.names[2]}")


def test_a_full_disk_leaves_the_old_checkpoint(root, tmp_path, small_config, monkeypatch):
    config = small_config()
    train(config, root, tmp_path)
    path = tmp_path / "checkpoint.pt"
    before = path.read_bytes()

    def refuse(content, partial):
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(SinkError, match="No space left on device"):
        save_checkpoint(load_checkpoint(path, config), path)
    assert path.read_bytes() == before
    assert not path.with_name("checkpoint.pt.part").exists()


def test_a_folder_that_holds_a_run_is_not_overwritten(root, tmp_path, small_config):
    train(small_config(stages=(Stage(1024, 1, 1e-3),)), root, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(SettingsError, match="holds a run already"):
        train(small_config(), root, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_checkpoints_of_older_versions_are_read(root, tmp_path, small_config):
    config = small_config(stages=(Stage(1024, 1, 1e-3),))
    train(config, root, tmp_path)
    fields = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for name in ("scaler", "random", "progress"):
        del fields[name]
    for name in ("teacher", "precision", "consistency", "schedule", "tuner_behind"):
        del fields["config"][name]
    for data in fields["config"]["data"]:
        del data["manifest"]
    torch.save(fields, tmp_path / "checkpoint.pt")
    assert load_checkpoint(tmp_path / "checkpoint.pt", config).step == fields["step"]
    train(config, root, tmp_path, resume=True)


def test_weights_of_another_network_cannot_be_started_from(root, tmp_path, small_config):
    facts = {"architecture": "linknet", "width": 4, "training": {}, "scores": {}}
    registry.save(registry.build("linknet", 4), tmp_path, "old", **facts)
    with pytest.raises(WeightsError, match="no weights of a linknet of width 8"):
        train(small_config(start_from="old"), root, tmp_path / "run", weights_folder=tmp_path)
    with pytest.raises(SettingsError, match="multiple of 16"):
        train(small_config(network="sdunet"), root, tmp_path / "run")
    with pytest.raises(SettingsError, match="f16 trains on CUDA only"):
        train(small_config(precision="f16", device="cpu"), root, tmp_path / "run")


def test_a_run_leaves_logs_curves_and_sheets(root, tmp_path, small_config):
    from humanseg_training.tensorboard import read_events

    train(small_config(), root, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [round(line["epoch"]) for line in lines] == [1, 2, 3, 4]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5
    assert len(list((tmp_path / "sheets").iterdir())) == 4
    assert cv2.imread(str(tmp_path / "curves.png")) is not None
    [events] = (tmp_path / "tensorboard").iterdir()
    assert len(list(read_events(events))) == 1 + 2 * 4


def test_a_disk_that_takes_no_more_leaves_the_old_checkpoint(tmp_path, small_config):
    resource = pytest.importorskip("resource", reason="file sizes cannot be limited here")
    from humanseg_training.learner import Learner
    from humanseg_training.team import Team

    checkpoint = Learner(small_config(), Team("cpu"), tmp_path).checkpoint(1, {})
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(checkpoint, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(SinkError, match="the previous one is untouched"):
            save_checkpoint(checkpoint, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["checkpoint.pt"]
