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

from humanseg.errors import SettingsError, TrainingDataError, WeightsError  # noqa: E402
from humanseg.models import registry  # noqa: E402
from humanseg_training.average import MovingAverage  # noqa: E402
from humanseg_training.batches import Batches  # noqa: E402
from humanseg_training.checkpoint import load_checkpoint  # noqa: E402
from humanseg_training.config import Augmentation, Config, DataSet, Stage  # noqa: E402
from humanseg_training.config_file import CONFIGS_FOLDER, read_config  # noqa: E402
from humanseg_training.data import is_held_out, list_pairs  # noqa: E402
from humanseg_training.ensemble_fit import fit_ensemble  # noqa: E402
from humanseg_training.evaluate import evaluate  # noqa: E402
from humanseg_training.loop import train  # noqa: E402
from humanseg_training.losses import segmentation_loss, soft_dice  # noqa: E402
from humanseg_training.predict import predictor  # noqa: E402
from humanseg_training.schedule import Schedule, one_cycle  # noqa: E402
from humanseg_training.stopping import TrainingInterrupted, TrainingStopped  # noqa: E402

CONFIGS = sorted(CONFIGS_FOLDER.glob("*.toml"))


@pytest.fixture
def root(tmp_path):
    """Bright blobs before dark walls, the blob being the person."""
    random = np.random.default_rng(0)
    for folder, count in (("train", 24), ("valid", 4)):
        (tmp_path / folder / "images").mkdir(parents=True)
        (tmp_path / folder / "masks").mkdir()
        for index in range(count):
            image = random.integers(0, 70, (80, 60, 3), np.uint8)
            mask = np.zeros((80, 60), np.uint8)
            centre = (int(random.integers(20, 40)), int(random.integers(40, 60)))
            cv2.ellipse(mask, centre, (14, 26), 0, 0, 360, 255, -1)
            image[mask > 0] = random.integers(180, 255, (int((mask > 0).sum()), 3), np.uint8)
            cv2.imwrite(str(tmp_path / folder / "images" / f"{index}.png"), image)
            cv2.imwrite(str(tmp_path / folder / "masks" / f"{index}.png"), mask)
    (tmp_path / "walls").mkdir()
    for index in range(3):
        wall = random.integers(0, 70, (80, 60, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "walls" / f"{index}.png"), wall)
    return tmp_path


def small_config(**changes):
    config = Config(
        name="tiny",
        network="linknet",
        width=8,
        data=(DataSet("train/images", "train/masks"),),
        validation=DataSet("valid/images", "valid/masks"),
        backgrounds="walls",
        stages=(Stage(pixels=32 * 32, epochs=4, learning_rate=1e-2),),
        augmentation=Augmentation(colour=0.5),
        holdout=6,
        batch=4,
    )
    return dataclasses.replace(config, **changes)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_can_be_read_and_built(path):
    config = read_config(path)
    assert config.name == path.stem
    assert registry.build(config.network, config.width) is not None


def test_a_wrong_key_names_the_nearest_known_one(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('name = "x"\nnetwrk = "unet"\n')
    with pytest.raises(SettingsError, match="did you mean 'network'"):
        read_config(path)
    path.write_text('name = "x"\n')
    with pytest.raises(SettingsError, match="incomplete"):
        read_config(path)
    path.write_text("name = [")
    with pytest.raises(SettingsError, match="is not TOML"):
        read_config(path)


def test_batches_depend_on_nothing_but_seed_and_step(root):
    one, other = (Batches(small_config(), root) for _ in range(2))
    for step in (0, 7):
        first = one.batch(step, pixels=1024)
        again = other.batch(step, pixels=1024)
        np.testing.assert_array_equal(first.images, again.images)
        np.testing.assert_array_equal(first.masks, again.masks)
    assert not np.array_equal(one.batch(0, pixels=1024).images.mean(), first.images.mean())


def test_batches_have_the_sizes_and_ranges_of_the_network(root):
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


def test_some_samples_show_nobody(root):
    config = small_config(augmentation=Augmentation(empty=1.0, second_person=0.0))
    batch = Batches(config, root).batch(0, pixels=1024)
    assert batch.masks.max() == 0
    assert batch.weights.min() == 1


def test_unsure_soft_labels_do_not_count(root):
    for path in (root / "train" / "masks").iterdir():
        soft = cv2.imread(str(path), 0)
        soft[:20] = 128
        cv2.imwrite(str(path), soft)
    data = (DataSet("train/images", "train/masks", weight=0.6, ignore_low=0.2, ignore_high=0.8),)
    batches = Batches(small_config(data=data), root)
    weights = np.concatenate([batches.batch(s, pixels=1024).weights.ravel() for s in range(8)])
    found = {round(float(value), 2) for value in np.unique(weights)}
    assert found == {0.0, 0.6, 1.0}


def test_held_out_pictures_are_never_trained_on(root):
    config = small_config()
    pairs = list_pairs(root, config.data[0])
    held = [pair for pair in pairs if is_held_out(pair.image, config.holdout)]
    assert 0 < len(held) < len(pairs)
    assert Batches(config, root).picture_count == len(pairs) - len(held)


def test_damaged_data_is_named_before_training(root):
    config = small_config()
    (root / "train" / "masks" / "3.png").rename(root / "train" / "masks" / "x.png")
    with pytest.raises(TrainingDataError, match=r"3\.png: has no mask"):
        Batches(config, root)
    cv2.imwrite(str(root / "train" / "masks" / "3.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(TrainingDataError, match="is 9x9, its picture 60x80"):
        Batches(config, root)
    (root / "train" / "images" / "3.png").write_bytes(b"")
    with pytest.raises(TrainingDataError, match=r"3\.png: is empty"):
        Batches(config, root)
    with pytest.raises(TrainingDataError, match="is no folder"):
        list_pairs(root, DataSet("nowhere", "nowhere"))


def test_learning_rate_rises_then_falls_in_every_stage():
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


def plane(value, size=32):
    return torch.full((1, 1, size, size), float(value))


def test_seeing_people_where_there_are_none_costs():
    empty, weights = plane(0), plane(1)
    assert soft_dice(plane(9), empty, weights) > 0.9
    assert soft_dice(plane(-9), empty, weights) < 0.2
    everywhere = segmentation_loss(plane(9), empty, weights)["total"]
    nowhere = segmentation_loss(plane(-9), empty, weights)["total"]
    assert everywhere > 5 * nowhere


def test_pixels_of_weight_zero_do_not_count():
    truth, weights = plane(0), plane(1)
    truth[..., :16] = 1
    weights[..., :16] = 0
    good = segmentation_loss(plane(-9), truth, weights)["total"]
    assert good < 0.2
    assert segmentation_loss(plane(-9), truth, plane(0))["total"].isfinite()


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


def test_a_few_steps_learn_to_find_the_blob(root, tmp_path):
    config = small_config(stages=(Stage(32 * 32, 30, 1e-2),), average_decay=0.9)
    card = train(config, root, tmp_path / "run")
    loaded = registry.read_card("tiny", card.parent)
    assert loaded.scores["dice"] > 0.75
    assert loaded.training["steps"] == Schedule(config, loaded.training["pictures"]).steps
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]
    scores = evaluate(root, config.validation, predictor(registry.load("tiny", card.parent)))
    assert scores.dice == pytest.approx(loaded.scores["dice"], abs=0.02)


def test_a_stopped_run_resumes_where_it_was(root, tmp_path):
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


def test_a_checkpoint_of_another_network_is_refused(root, tmp_path):
    train(small_config(), root, tmp_path)
    with pytest.raises(WeightsError, match="width 8, the config asks for 16"):
        train(small_config(width=16), root, tmp_path, resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="no readable checkpoint"):
        train(small_config(), root, tmp_path, resume=True)
    with pytest.raises(WeightsError, match="no checkpoint to resume"):
        train(small_config(), root, tmp_path / "elsewhere", resume=True)


def test_a_loss_that_is_no_number_stops_the_run(root, tmp_path):
    config = small_config(stages=(Stage(1024, 4, float("nan")),))
    with pytest.raises(TrainingStopped, match="the loss of step"):
        train(config, root, tmp_path)


def test_the_better_network_gets_the_larger_share(root, tmp_path):
    config = small_config(stages=(Stage(1024, 30, 1e-2),), average_decay=0.9)
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
