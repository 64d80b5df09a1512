"""Frames of the sample against the golden ones, on every engine."""

import importlib.util
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from humanseg.engines.choose import has_openvino
from humanseg.engines.openvino_engine import OpenVinoEngine
from humanseg.engines.torch_engine import TorchEngine, has_bfloat16
from humanseg.metrics import boundary_f, dice
from humanseg.settings import PRESETS
from humanseg.sources.video_file import VideoFileSource

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("golden_refresh", HERE / "refresh.py")
refresh = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(refresh)

TOLERANCE = tomllib.loads((HERE / "tolerance.toml").read_text())
ENGINES = ["torch f32", "torch bf16", "openvino f32", "openvino int8", "openvino bf16"]


@pytest.fixture(scope="module")
def frames():
    return refresh.sample_frames()


def open_engine(kind, preset, cache):
    library, precision = kind.split()
    models = PRESETS[preset].models
    if precision == "bf16" and not has_bfloat16():
        pytest.skip("this processor does not multiply bfloat16")
    if library == "torch":
        return TorchEngine(models, device="cpu", threads=2, precision=precision)
    if not has_openvino():
        pytest.skip("OpenVINO is not installed")
    return OpenVinoEngine(models, threads=2, precision=precision, cache=cache)


def test_goldens_are_of_this_sample_and_these_weights():
    assert json.loads((refresh.GOLDEN / "golden.json").read_text()) == refresh.facts()


# The networks of `best` are those of `balanced`, which every engine runs; they only see more.
RUNS = [(k, p) for k in ENGINES for p in PRESETS if p != "best" or k in (ENGINES[0], ENGINES[-1])]


@pytest.mark.parametrize(("kind", "preset"), RUNS)
def test_frames_match_the_golden_ones(kind, preset, frames, tmp_path):
    tolerance = TOLERANCE[kind]
    with open_engine(kind, preset, tmp_path) as engine:
        found = refresh.golden_pictures(preset, engine, frames)
    stored = {path.stem for path in (refresh.GOLDEN / preset).glob("*.png")}
    assert stored == set(found)
    for name, picture in found.items():
        golden = refresh.read_golden(refresh.GOLDEN / preset / f"{name}.png")
        assert golden.shape == picture.shape
        overlap, apart = refresh.differences(golden, picture)
        assert overlap >= tolerance["min_iou"], f"{name}: IoU {overlap:.4f}"
        assert apart <= tolerance["max_difference"], f"{name}: differs by {apart:.4f} on average"


@pytest.mark.parametrize(
    ("preset", "least_dice", "least_boundary_f"),
    [("fast", 0.95, 0.5), ("balanced", 0.96, 0.6), ("best", 0.96, 0.6)],
)
def test_masks_are_near_the_exact_alpha(preset, least_dice, least_boundary_f):
    with VideoFileSource(refresh.ALPHA) as source:
        exact = {f.index: f.pixels[..., 0] for f in source if f.index in refresh.FRAMES}
    truth = {index: refresh.small(alpha) > 127 for index, alpha in exact.items()}
    found = {
        index: refresh.read_golden(refresh.GOLDEN / preset / f"alpha-{index:03d}.png") > 127
        for index in refresh.FRAMES
    }
    assert np.mean([dice(found[i], truth[i]) for i in truth]) >= least_dice
    assert np.mean([boundary_f(found[i], truth[i]) for i in truth]) >= least_boundary_f
