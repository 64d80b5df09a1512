"""Pictures and masks on disk: folders, manifests, and everything that may be wrong with them."""

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("albumentations", reason="the extra 'training' is not installed")

from humanseg.errors import TrainingDataError
from humanseg_training.batches import Batches
from humanseg_training.config import DataSet
from humanseg_training.data import (
    MOST_NAMED,
    Faults,
    TrainingDataFaults,
    list_pairs,
    read_pairs,
)
from humanseg_training.loop import train

FOLDERS = DataSet("train/images", "train/masks")


def test_damaged_data_is_named_before_training(root, small_config):
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
    (root / "train" / "images" / "3.png").write_bytes(b"no picture")
    with pytest.raises(TrainingDataError, match=r"3\.png"):
        Batches(config, root)
    with pytest.raises(TrainingDataError, match="is no folder"):
        list_pairs(root, DataSet("nowhere", "nowhere"))


def test_all_faults_of_all_sets_are_named_at_once_and_nothing_is_written(root, small_config):
    (root / "train" / "masks" / "1.png").unlink()
    (root / "train" / "masks" / "2.png").unlink()
    (root / "valid" / "images" / "0.png").write_bytes(b"")
    (root / "walls" / "1.png").write_bytes(b"no picture")
    with pytest.raises(TrainingDataFaults) as raised:
        train(small_config(), root, root / "run")
    assert len(raised.value.faults) == 4
    for name in ("images/1.png", "images/2.png", "valid/images/0.png", "walls/1.png"):
        assert str(root / name) in str(raised.value) or name in str(raised.value)
    assert not (root / "run").exists()


def test_faults_of_pixels_are_collected_too(root):
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(root / "train" / "masks" / name), np.zeros((9, 9), np.uint8))
    with pytest.raises(TrainingDataFaults, match="2 files cannot be used"):
        read_pairs(list_pairs(root, FOLDERS))


def test_many_faults_end_in_a_number():
    faults = Faults()
    for index in range(MOST_NAMED + 7):
        with faults.collected():
            raise TrainingDataError("is wrong", subject=f"picture {index}.")
    with pytest.raises(TrainingDataFaults, match="and 7 more") as raised:
        faults.raise_any()
    assert f"picture {MOST_NAMED - 1}." in str(raised.value)
    assert f"picture {MOST_NAMED}." not in str(raised.value)


def test_masks_that_count_people_as_one_are_refused(root):
    mask = cv2.imread(str(root / "train" / "masks" / "4.png"), 0)
    cv2.imwrite(str(root / "train" / "masks" / "4.png"), mask // 255)
    with pytest.raises(TrainingDataError, match=r"4\.png: marks people by 1"):
        read_pairs(list_pairs(root, FOLDERS))


def test_a_set_that_is_kept_out_whole_is_named(root, small_config):
    with pytest.raises(TrainingDataError, match="nothing to train on"):
        Batches(small_config(holdout=1), root)


def write_manifest(root, *lines, columns="image,mask,weight"):
    (root / "train" / "list.csv").write_text("\n".join([columns, *lines]) + "\n")
    return DataSet(manifest="train/list.csv")


def test_a_manifest_stands_in_for_folders(root, small_config):
    lines = [f"images/{i}.png,masks/{i}.png,{0.5 if i % 2 else ''}" for i in range(24)]
    data = write_manifest(root, *lines)
    pairs, folders = list_pairs(root, data), list_pairs(root, FOLDERS)
    assert sorted(pair.image for pair in pairs) == [pair.image for pair in folders]
    assert [pair.weight for pair in pairs[:2]] == [1.0, 0.5]
    config = small_config(data=(data,), holdout=0)
    batches = Batches(config, root)
    assert batches.picture_count == 24
    weights = np.concatenate([batches.batch(s, pixels=1024).weights.ravel() for s in range(6)])
    assert {round(float(value), 1) for value in np.unique(weights)} == {0.5, 1.0}


def test_a_manifest_needs_no_weights(root):
    data = write_manifest(root, "images/0.png,masks/0.png", columns="image,mask")
    assert list_pairs(root, data)[0].weight == 1.0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("images/0.png,,1", "line 3: has no picture or no mask"),
        ("images/0.png,masks/none.png,1", "line 3: there is no file"),
        ("images/0.png,masks/0.png,much", "line 3: has the weight 'much'"),
        ("images/0.png,masks/0.png,2", "line 3: has the weight '2'"),
    ],
)
def test_wrong_lines_of_a_manifest_are_named(root, line, words):
    data = write_manifest(root, "images/1.png,masks/1.png,1", line)
    with pytest.raises(TrainingDataError, match=words):
        list_pairs(root, data)


def test_a_file_that_is_no_manifest_is_named(root):
    for text in ("", "image,mask\n", "a,b\nc,d\n", "\x00\x01"):
        (root / "list.csv").write_text(text)
        with pytest.raises(TrainingDataError, match=r"manifest|CSV"):
            list_pairs(root, DataSet(manifest="list.csv"))
    with pytest.raises(TrainingDataError, match="cannot be read"):
        list_pairs(root, DataSet(manifest="none.csv"))
