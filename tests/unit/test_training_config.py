"""Training runs in TOML: inheritance, checks, and the runs that ship."""

import pytest

torch = pytest.importorskip("torch")

from humanseg.errors import SettingsError  # noqa: E402
from humanseg.models import registry  # noqa: E402
from humanseg_training.config import Stage  # noqa: E402
from humanseg_training.config_file import CONFIGS_FOLDER, read_config  # noqa: E402

SHIPPED = sorted(CONFIGS_FOLDER.glob("*.toml"))
STUDY = sorted((CONFIGS_FOLDER / "study").glob("run*.toml"))

LEAST = """
name = "x"
network = "unet"
width = 4
[validation]
images = "i"
masks = "m"
[[data]]
images = "i"
masks = "m"
[[stages]]
pixels = 1024
epochs = 1
learning_rate = 0.1
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="run.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_can_be_read_and_built(path):
    config = read_config(path)
    name, _, later_run = path.stem.partition("-")
    assert config.name == name
    assert config.start_from == (name if later_run else "")
    assert registry.build(config.network, config.width) is not None


def test_every_run_of_the_study_is_there():
    assert [path.stem for path in STUDY] == [f"run{number:02}" for number in range(14)]
    runs = [read_config(path) for path in STUDY]
    assert [run.name for run in runs] == [path.stem for path in STUDY]
    networks = "unet sdunet linknet hrnet hrnet unet sdunet linknet hrnet linknet hrnet unet sdunet"
    assert [run.network for run in runs] == [*networks.split(), "linknet"]
    sets = ["none"] * 5 + ["1"] * 3 + ["none", "2"] + ["1"] * 4
    assert [run.augmentation.set for run in runs] == sets
    assert [run.stages[0].pixels for run in runs] == [320 * 240] * 10 + [192 * 144] * 4
    assert [runs[number].stages[0].epochs for number in (3, 4, 8)] == [25, 50, 75]
    assert all(run.data[0].images == "train" and not run.backgrounds for run in runs)


def test_the_final_run_tunes_the_four_of_low_resolution():
    final = read_config(CONFIGS_FOLDER / "study" / "final.toml")
    assert final.tuner_behind == ("run10", "run11", "run12", "run13")
    assert final.network == ""


def test_a_base_is_inherited_key_by_key(write):
    write(LEAST + "[augmentation]\nempty = 0.5\ncolour = 0.1\n", "base.toml")
    write('base = "base.toml"\nwidth = 8\n[augmentation]\nempty = 0.2\n', "middle.toml")
    last = "[[stages]]\npixels = 64\nepochs = 2\nlearning_rate = 0.3\n"
    config = read_config(write('base = "middle.toml"\nname = "y"\n' + last))
    assert (config.name, config.width, config.network) == ("y", 8, "unet")
    assert (config.augmentation.empty, config.augmentation.colour) == (0.2, 0.1)
    assert config.stages == (Stage(64, 2, 0.3),)


def test_a_base_in_a_circle_or_missing_is_named(write):
    write('base = "two.toml"\n', "one.toml")
    path = write('base = "one.toml"\n', "two.toml")
    with pytest.raises(SettingsError, match="inherits from itself"):
        read_config(path)
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read"):
        read_config(write('base = "nowhere.toml"\n'))


def test_a_wrong_key_names_the_nearest_known_one(write):
    with pytest.raises(SettingsError, match="did you mean 'network'"):
        read_config(write('name = "x"\nnetwrk = "unet"\n'))
    with pytest.raises(SettingsError, match="lacks width, validation"):
        read_config(write('name = "x"\n'))
    with pytest.raises(SettingsError, match="is not TOML"):
        read_config(write("name = ["))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("width = 4", 'width = "4"', "'width' must be a whole number, not '4'"),
        ("width = 4", "width = 0", "'width' must be at least 1"),
        ("width = 4", "width = 4\nbatch = true", "'batch' must be a whole number"),
        ("width = 4", "width = 4\nteacher = [1]", "'teacher' must be a list"),
        ("width = 4", "width = 4\nteacher_share = 2", "from 0 to 1"),
        ("width = 4", 'width = 4\nprecision = "f8"', "one of auto, f32, bf16, f16"),
        ("width = 4", 'width = 4\ndevice = "tpu"', "one of auto, cpu, cuda"),
        ("width = 4", 'width = 4\ntuner_behind = ["a"]', "either a `network` or"),
        ("epochs = 1", "epochs = 0", "epochs above 0"),
        ("epochs = 1", "epochs = 1\npixels_up_to = 9", "must not be below its 'pixels'"),
        ('[[data]]\nimages = "i"', "[[data]]", "either `images` and `masks`, or a `manifest`"),
        ("[[data]]", '[[data]]\nmanifest = "m.csv"', "either `images` and `masks`, or"),
        ("[[data]]", "[[data]]\nshare = -1", "a share and a weight above 0"),
        ("[validation]", "[augmentation]\ncrop = 0\n[validation]", "above 0 and at most 1"),
        ("[validation]", '[augmentation]\nset = "3"\n[validation]', "'augmentation.set' must be"),
    ],
)
def test_wrong_values_are_told(write, old, new, words):
    assert read_config(write(LEAST)).batch == 16
    with pytest.raises(SettingsError) as raised:
        read_config(write(LEAST.replace(old, new, 1)))
    assert words in str(raised.value)
