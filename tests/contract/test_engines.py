"""One set of tests for every engine; how far engines may differ stands in tests/regression."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from humanseg.engines import choose, openvino_engine, openvino_graphs, self_test, torch_engine
from humanseg.engines.choose import choose_device, has_openvino, open_engine
from humanseg.engines.openvino_engine import OpenVinoEngine
from humanseg.engines.openvino_graphs import Wanted
from humanseg.engines.self_test import Candidate, quickest, time_engine
from humanseg.engines.torch_engine import TorchEngine
from humanseg.errors import MissingExtraError, SettingsError, WeightsError
from humanseg.models import registry
from humanseg.models.ensemble import fuse_batch_norm
from humanseg.models.quantized import dense_convolutions

RANDOM = np.random.default_rng(4)
MODELS = ("first", "second")


@pytest.fixture(scope="module")
def shared_weights(tmp_path_factory):
    """A folder with the weights of two small untrained networks, and their converted graph."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for name, network in (("first", "linknet"), ("second", "unet")):
        save(folder, name, network)
    if has_openvino():
        make("openvino", folder).close()
    return folder


@pytest.fixture
def small_weights(shared_weights, tmp_path):
    """A copy of one's own, to damage."""
    return shutil.copytree(shared_weights, tmp_path / "weights")


def save(folder, name, network):
    made = registry.build(network, 8)
    registry.save(made, folder, name, architecture=network, width=8, training={}, scores={})


def make(kind, weights):
    if kind == "torch":
        return TorchEngine(MODELS, device="cpu", threads=1, precision="f32", weights=weights)
    if not has_openvino():
        pytest.skip("OpenVINO is not installed")
    return OpenVinoEngine(
        MODELS, threads=1, precision="f32", weights=weights, cache=weights / "cache"
    )


@pytest.fixture(params=["torch", "openvino"])
def engine(request, shared_weights):
    with make(request.param, shared_weights) as opened:
        yield opened


@pytest.mark.parametrize("shape", [(1, 32, 48), (3, 64, 32), (2, 128, 224)])
def test_probabilities_have_the_shape_of_the_batch(engine, shape):
    found = engine.infer(RANDOM.integers(0, 255, (*shape, 3), np.uint8))
    assert found.shape == shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


def test_results_are_the_callers_own(engine):
    batch = RANDOM.integers(0, 255, (1, 32, 32, 3), np.uint8)
    first = engine.infer(batch)
    kept = first.copy()
    engine.infer(255 - batch)
    np.testing.assert_array_equal(first, kept)


def test_however_networks_share_the_threads_the_masks_are_the_same(shared_weights, tmp_path):
    if not has_openvino():
        pytest.skip("OpenVINO is not installed")
    batch = RANDOM.integers(0, 255, (3, 32, 48, 3), np.uint8)
    found = []
    for number, (goal, threads) in enumerate(
        [
            *(("latency", threads) for threads in (1, 2, 3)),
            *(("throughput", threads) for threads in (1, 2, 3, 4)),
        ]
    ):
        # Each has a cache of its own: with OpenVINO 2026.4 on a processor with AMX, this process
        # of the tests dies of the next signal once it has read a compiled graph back.
        cache = tmp_path / str(number)
        options = {"precision": "f32", "weights": shared_weights, "cache": cache}
        with OpenVinoEngine(MODELS, threads=threads, goal=goal, **options) as engine:
            found.append((engine.infer(batch), engine.infer(batch[:1])))
    for masks, first in found[1:]:
        np.testing.assert_allclose(masks, found[0][0], atol=1e-5)
        np.testing.assert_allclose(first, found[0][0][:1], atol=1e-5)


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
@pytest.mark.parametrize("size", [(192, 144), (128, 224), (64, 48)])
def test_engines_show_half_the_size_alike(tmp_path, size):
    torch.manual_seed(2)
    facts = {"width": 16, "training": {}, "scores": {}}
    for name, kind in (("first", "sdunet"), ("second", "linknet")):
        kind = f"efficient-{kind}"
        registry.save(registry.build(kind, 16), tmp_path, name, architecture=kind, **facts)
    registry.save_shares({"first": 0.5, "second": 0.5}, {}, tmp_path, halved=["first"])
    batch = RANDOM.integers(0, 255, (1, *size, 3), np.uint8)
    with make("torch", tmp_path) as plain, make("openvino", tmp_path) as other:
        np.testing.assert_allclose(other.infer(batch), plain.infer(batch), atol=2e-4)
    # Whoever sees less has less to do, and its turn comes last.
    assert openvino_engine._by_cost(MODELS, tmp_path) == [1, 0]
    assert openvino_engine._by_cost(["first"], tmp_path) == [0]


@given(count=st.integers(1, 9), threads=st.integers(1, 16))
def test_every_network_is_dealt_to_one_thread(count, threads):
    groups = openvino_engine.dealt_out(range(count), threads)
    assert len(groups) == min(count, threads)
    assert sorted(number for group in groups for number in group) == list(range(count))
    sizes = [len(group) for group in groups]
    assert max(sizes) - min(sizes) <= 1


def test_torch_freezes_a_shape_that_comes_often_and_its_results_stay(shared_weights, monkeypatch):
    frozen = []
    freeze = torch_engine._freeze

    def noted(serving, images):
        frozen.append(tuple(images.shape))
        return freeze(serving, images)

    monkeypatch.setattr(torch_engine, "_freeze", noted)
    often = RANDOM.integers(0, 255, (2, 48, 32, 3), np.uint8)
    rare = RANDOM.integers(0, 255, (1, 32, 48, 3), np.uint8)
    with make("torch", shared_weights) as engine:
        first = engine.infer(often)
        for _ in range(torch_engine.RUNS_BEFORE_FREEZING + 3):
            last = engine.infer(often)
        engine.infer(rare)
    assert frozen == [often.shape]
    np.testing.assert_allclose(last, first, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5, 8, 13])
def test_pictures_side_by_side_are_the_same_as_one_by_one(shared_weights, count):
    if not has_openvino():
        pytest.skip("OpenVINO is not installed")
    batch = RANDOM.integers(0, 255, (count, 32, 48, 3), np.uint8)
    options = {"precision": "f32", "weights": shared_weights, "cache": shared_weights / "cache"}
    with (
        OpenVinoEngine(MODELS, threads=2, goal="throughput", **options) as many,
        OpenVinoEngine(MODELS, threads=1, goal="latency", **options) as one,
    ):
        expected = [one.infer(batch[index : index + 1])[0] for index in range(count)]
        np.testing.assert_allclose(many.infer(batch), expected, atol=1e-6)


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
def test_a_few_pictures_fill_up_a_bundle_that_is_compiled_already(shared_weights, tmp_path):
    options = {"precision": "f32", "weights": shared_weights, "cache": tmp_path}
    batch = RANDOM.integers(0, 255, (8, 32, 48, 3), np.uint8)
    with OpenVinoEngine(MODELS, threads=2, goal="throughput", **options) as engine:
        expected = engine.infer(batch)
        for count in (1, 3, 6, 7):
            np.testing.assert_allclose(engine.infer(batch[:count]), expected[:count], atol=1e-5)
        assert {shape[0] for shape in engine._compiled} == {4}


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
def test_no_network_is_compiled_twice_for_two_threads(shared_weights, tmp_path, monkeypatch):
    built, part = [], openvino_graphs._part
    monkeypatch.setattr(
        openvino_graphs,
        "_part",
        lambda model, group: built.append(list(group)) or part(model, group),
    )
    batch = RANDOM.integers(0, 255, (8, 32, 48, 3), np.uint8)
    options = {"precision": "f32", "weights": shared_weights, "cache": tmp_path}
    with OpenVinoEngine(MODELS, threads=2, goal="throughput", **options) as engine:
        engine.infer(batch)
    assert built == [[0], [1]]


ROUNDED = """
import sys
from pathlib import Path
import numpy as np
from humanseg.engines.openvino_engine import OpenVinoEngine

folder = Path(sys.argv[1])
batch = np.load(folder / "batch.npy")
for precision in ("int8", "f32"):
    options = {"threads": 1, "weights": folder, "cache": folder / "cache"}
    with OpenVinoEngine(("first", "second"), precision=precision, **options) as engine:
        print(engine.name)
        np.save(folder / precision, engine.infer(batch))
"""


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
def test_rounding_needs_ranges_and_is_near_the_exact_engine(small_weights):
    options = {"threads": 1, "weights": small_weights, "cache": small_weights / "cache"}
    with pytest.raises(WeightsError, match="nobody has measured"):
        OpenVinoEngine(MODELS, precision="int8", **options)
    for name in MODELS:
        network = fuse_batch_norm(registry.load(name, small_weights))
        ranges = dict.fromkeys(dense_convolutions(network), (-4.0, 4.0))
        registry.save_ranges(name, ranges, {}, small_weights)
    np.save(small_weights / "batch", RANDOM.integers(0, 255, (2, 64, 48, 3), np.uint8))
    # In a process of its own: many kinds of graphs in one made tests unfit for signals.
    command = [sys.executable, "-c", ROUNDED, str(small_weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["openvino cpu int8", "openvino cpu f32"]
    rounded, exact = (np.load(small_weights / f"{name}.npy") for name in ("int8", "f32"))
    assert 0 < np.abs(rounded - exact).mean() < 0.02
    assert len(list((small_weights / "cache").glob("*.xml"))) == 2


def test_auto_rounds_only_where_that_was_measured_and_is_allowed(monkeypatch):
    monkeypatch.setattr(choose, "has_openvino", lambda: True)
    known = {"fast": {"head": (0.0, 1.0)}}
    monkeypatch.setattr(registry, "read_ranges", lambda name, *_: known.get(name))
    names = [one.name for one in choose.candidates("cpu", ["fast"])]
    assert names == ["openvino cpu int8", "openvino cpu auto", "torch cpu auto"]
    assert choose.candidates("cpu", ["fast"], exact=True) == list(BOTH)
    assert choose.candidates("cpu", ["fast", "mine"]) == list(BOTH)
    monkeypatch.setattr(choose, "has_openvino", lambda: False)
    assert choose.candidates("cpu", ["fast"]) == [Candidate("torch", "cpu")]
    assert choose.candidates("mps", ["fast"]) == [Candidate("torch", "mps")]


def test_a_read_only_batch_is_fine(engine):
    batch = RANDOM.integers(0, 255, (1, 32, 32, 3), np.uint8)
    expected = engine.infer(batch)
    batch.flags.writeable = False
    np.testing.assert_allclose(engine.infer(batch), expected, atol=1e-6)


def test_colour_order_matters(engine):
    batch = RANDOM.integers(0, 255, (1, 32, 32, 3), np.uint8)
    swapped = np.ascontiguousarray(batch[..., ::-1])
    assert np.abs(engine.infer(batch) - engine.infer(swapped)).max() > 1e-4


def test_engines_agree(shared_weights):
    batch = RANDOM.integers(0, 255, (2, 64, 96, 3), np.uint8)
    with make("torch", shared_weights) as one, make("openvino", shared_weights) as other:
        np.testing.assert_allclose(one.infer(batch), other.infer(batch), atol=2e-3)


def test_a_name_says_what_runs_where(engine):
    assert engine.name in ("torch cpu f32", "openvino cpu f32")


def test_closing_twice_is_fine(engine):
    engine.close()
    engine.close()


@pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
class TestOpenVinoCache:
    def open(self, weights, cache=None):
        cache = cache or weights / "cache"
        return OpenVinoEngine(MODELS, threads=1, precision="f32", weights=weights, cache=cache)

    def test_a_second_start_converts_nothing(self, small_weights, monkeypatch):
        batch = RANDOM.integers(0, 255, (1, 32, 32, 3), np.uint8)
        with self.open(small_weights) as engine:
            expected = engine.infer(batch)
        monkeypatch.setattr(openvino_graphs, "convert", None)
        monkeypatch.setattr(openvino_graphs, "_convert_elsewhere", None)
        with self.open(small_weights) as engine:
            np.testing.assert_allclose(engine.infer(batch), expected, atol=1e-6)

    def test_modules_in_the_users_folder_are_not_run(self, small_weights, tmp_path, monkeypatch):
        (tmp_path / "platformdirs.py").write_text("open('was-run', 'w').close()\nraise SystemExit")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(openvino_graphs, "convert", None)
        self.open(small_weights, cache=tmp_path / "cache").close()
        assert not (tmp_path / "was-run").exists()

    def test_other_weights_are_another_graph(self, small_weights):
        self.open(small_weights).close()
        save(small_weights, "first", "linknet")
        self.open(small_weights).close()
        assert len(list((small_weights / "cache").glob("*.xml"))) == 2

    def test_what_was_not_used_for_long_is_removed(self, shared_weights, tmp_path):
        old, new = tmp_path / "old.blob", tmp_path / "new.blob"
        for path, days in ((old, 40), (new, 2)):
            path.write_text("compiled")
            seconds = time.time() - days * 24 * 3600
            os.utime(path, (seconds, seconds))
        model = openvino_graphs.convert(Wanted(MODELS, shared_weights))
        openvino_graphs.store(model, tmp_path / "graph.xml")
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"new.blob", "graph.xml", "graph.bin"}

    def test_a_damaged_cache_is_made_anew(self, small_weights):
        self.open(small_weights).close()
        [path] = (small_weights / "cache").glob("*.xml")
        path.write_text("no graph")
        # A size that no test before has compiled.
        with self.open(small_weights) as engine:
            assert engine.infer(np.zeros((1, 48, 80, 3), np.uint8)).shape == (1, 48, 80)
        assert path.read_text() != "no graph"

    def test_a_third_start_reads_what_was_compiled(self, small_weights, monkeypatch):
        batch = RANDOM.integers(0, 255, (1, 32, 32, 3), np.uint8)
        with self.open(small_weights) as engine:
            expected = engine.infer(batch)
        monkeypatch.setattr(openvino_graphs.Graphs, "_read", None)
        with self.open(small_weights) as engine:
            np.testing.assert_array_equal(engine.infer(batch), expected)

    @pytest.mark.parametrize("damage", [lambda content: content[:-1] + b"?", lambda _: b""])
    def test_a_damaged_compiled_graph_is_made_anew(self, small_weights, tmp_path, damage):
        cache = tmp_path / "cache"
        batch = RANDOM.integers(0, 255, (1, 32, 32, 3), np.uint8)
        with self.open(small_weights, cache) as engine:
            expected = engine.infer(batch)
        [path] = cache.glob("*.blob")
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        with self.open(small_weights, cache) as engine:
            np.testing.assert_array_equal(engine.infer(batch), expected)
        assert openvino_graphs._read_compiled(path) is not None

    def test_damaged_weights_are_refused_even_with_a_cached_graph(self, small_weights):
        self.open(small_weights).close()
        path = small_weights / "first.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(WeightsError, match="checksum"):
            self.open(small_weights)

    def test_without_a_place_to_write_nothing_is_kept(self, small_weights):
        (small_weights / "file").write_text("a file where the folder would be")
        with self.open(small_weights, cache=small_weights / "file") as engine:
            assert engine.infer(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 32, 32)


def test_unknown_names_are_refused():
    with pytest.raises(SettingsError, match="auto, torch, openvino, int8"):
        open_engine(MODELS, engine="tensorflow")
    with pytest.raises(SettingsError, match="auto, cpu, cuda, mps"):
        open_engine(MODELS, device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_named():
    with pytest.raises(SettingsError, match="no 'cuda' device"):
        open_engine(MODELS, device="cuda")


def test_a_missing_openvino_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setattr(choose, "has_openvino", lambda: False)
    with pytest.raises(MissingExtraError, match=r"humanseg\[openvino\]"):
        open_engine(MODELS, engine="openvino", device="cpu")


def test_the_processor_is_always_there():
    assert choose_device("cpu") == "cpu"


def test_machines_without_a_gpu_do_not_pay_for_looking(monkeypatch):
    monkeypatch.setattr(choose, "may_have_gpu", lambda: False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert choose_device("auto") == "cpu"


def test_the_cuda_path_asks_for_half_precision():
    """The CUDA path was never run; this holds what can be held without a device."""
    from humanseg.engines import torch_engine

    assert torch_engine._best_precision("cuda") == "f16"
    assert torch_engine._best_precision("mps") == "f32"


BOTH = (Candidate("openvino", "cpu"), Candidate("torch", "cpu"))


@pytest.mark.parametrize("winner", ["openvino cpu auto", "torch cpu auto"])
def test_the_quickest_engine_is_tried_once_and_remembered(tmp_path, monkeypatch, winner):
    tried = []

    def measure(candidates, models, *, threads, goal):
        tried.append((tuple(candidates), threads, goal))
        return {"openvino cpu auto": 5.0, "torch cpu auto": 6.0, winner: 1.0}

    monkeypatch.setattr(self_test, "measure", measure)
    options = {"threads": 2, "goal": "throughput", "cache": tmp_path}
    for _ in range(3):
        chosen = quickest(BOTH, ("fast",), **options)
        assert f"{chosen.library} {chosen.device} auto" == winner
    assert tried == [(BOTH, 2, "throughput")]
    quickest(BOTH, ("fast",), **{**options, "threads": 1})
    assert len(tried) == 2


def test_where_nothing_can_be_measured_the_likeliest_engine_is_taken_at_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(self_test, "measure", lambda *_, **__: calls.append(1) or {})
    (tmp_path / "engines.json").write_text("damaged")
    for _ in range(2):
        assert quickest(BOTH, ("fast",), threads=1, goal="latency", cache=tmp_path) is BOTH[0]
    assert calls == [1]
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert quickest(BOTH, ("fast",), threads=1, goal="latency", cache=blocked) is BOTH[0]
    assert calls == [1]


def test_a_self_test_in_a_process_of_its_own_tells_milliseconds():
    found = self_test.measure([Candidate("torch", "cpu")], ["fast"], threads=1, goal="latency")
    assert list(found) == ["torch cpu auto"]
    assert 0 < found["torch cpu auto"] < 10_000
    broken = [Candidate("torch", "nowhere")]
    assert self_test.measure(broken, ["fast"], threads=1, goal="latency") == {}


def test_an_engine_is_timed_by_its_quickest_pass():
    class Uneven:
        waits = iter([0.05, 0.05, 0.01, 0.05])

        def infer(self, batch):
            time.sleep(next(self.waits, 0.05))

    assert 10 / self_test.BATCH <= time_engine(Uneven(), seconds=0.1) < 40 / self_test.BATCH


def test_on_cuda_each_size_of_batch_is_recorded_once(shared_weights):
    with make("torch", shared_weights) as engine:
        recorded = []

        def record(serving, shape):
            recorded.append(shape)
            return lambda batch: np.full(batch.shape[:3], len(recorded), np.float32)

        engine._device, engine._record = torch.device("cuda"), record
        sizes = [len(engine.infer(np.zeros((n, 32, 32, 3), np.uint8))) for n in (1, 3, 4, 2, 3)]
    assert sizes == [1, 3, 4, 2, 3]
    assert recorded == [(1, 32, 32, 3), (4, 32, 32, 3), (2, 32, 32, 3)]
