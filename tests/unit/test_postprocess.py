"""Post-processing modules stand behind any network, and behind one another."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from humanseg.errors import WeightsError  # noqa: E402
from humanseg.models import registry  # noqa: E402
from humanseg.models.ensemble import Ensemble  # noqa: E402
from humanseg_training.mask_tuner import MaskTuner, load_tuner, save_tuner  # noqa: E402
from humanseg_training.postprocess import MirrorAverage, SizeAverage, SoftErosion  # noqa: E402
from humanseg_training.predict import predictor  # noqa: E402

NETWORKS = ("unet", "sdunet", "linknet", "hrnet", "efficient-linknet")
MODULES = {
    "mirror": MirrorAverage,
    "sizes": SizeAverage,
    "erosion": SoftErosion,
    "tuner": MaskTuner,
    "combination": lambda network: Ensemble([network, network], [0.3, 0.7]),
    "all": lambda network: SoftErosion(SizeAverage(MirrorAverage(MaskTuner(network)))),
}


class Brightness(torch.nn.Module):
    """Logits are the red channel, stretched."""

    def forward(self, image):
        return image[:, :1] * 16 - 8


class Sides(torch.nn.Module):
    """Says 4 on the left and -2 on the right, whatever the picture."""

    def forward(self, image):
        logits = torch.full_like(image[:, :1], -2.0)
        logits[..., : image.shape[-1] // 2] = 4.0
        return logits


def square(size=64, side=32):
    image = torch.zeros(1, 3, size, size)
    begin = (size - side) // 2
    image[..., begin : begin + side, begin : begin + side] = 1
    return image


@pytest.mark.parametrize("module", sorted(MODULES))
@pytest.mark.parametrize("name", NETWORKS)
def test_every_module_stands_behind_every_network(module, name):
    torch.manual_seed(0)
    behind = MODULES[module](registry.build(name, 16 if name == "sdunet" else 4)).eval()
    with torch.inference_mode():
        logits = behind(torch.rand(2, 3, 48, 80))
    assert logits.shape == (2, 1, 48, 80)
    assert logits.isfinite().all()


def test_a_module_predicts_like_a_network():
    picture = np.zeros((50, 70, 3), np.uint8)
    picture[10:40, 20:50] = 255
    [alpha] = predictor(SoftErosion(Brightness()))([picture])
    assert alpha.shape == (50, 70)
    assert alpha[25, 35] > 0.99
    assert alpha[3, 3] < 0.01


def test_a_predictor_averages_what_is_seen_in_several_sizes():
    class ByArea(torch.nn.Module):
        def forward(self, image):
            share = image.shape[-1] * image.shape[-2] / 4096
            return torch.full_like(image[:, :1], share).logit()

    picture = np.zeros((60, 60, 3), np.uint8)
    [alpha] = predictor(ByArea(), areas=(1024, 2304))([picture])
    assert alpha.shape == (60, 60)
    np.testing.assert_allclose(alpha, (1024 + 2304) / 2 / 4096, atol=1e-5)


def test_mirror_images_are_turned_back_and_averaged():
    torch.testing.assert_close(MirrorAverage(Sides())(square()), torch.ones(1, 1, 64, 64))
    right_only = torch.zeros(1, 3, 64, 64)
    right_only[..., 40:] = 1
    plain = Brightness()(right_only)
    torch.testing.assert_close(MirrorAverage(Brightness())(right_only), plain)


def test_sizes_are_brought_back_and_averaged():
    image = square()
    plain = Brightness()(image)
    torch.testing.assert_close(SizeAverage(Brightness(), [1.0])(image), plain)
    three = SizeAverage(Brightness())(image)
    flat = (plain == three).float().mean()
    assert flat > 0.5  # far from edges all sizes agree
    assert ((three > 0) == (plain > 0)).float().mean() > 0.95
    seen = []

    class Sizes(Brightness):
        def forward(self, image):
            seen.append(tuple(image.shape[-2:]))
            return super().forward(image)

    SizeAverage(Sizes(), [0.5, 1.0, 1.3])(torch.rand(1, 3, 64, 96))
    assert seen == [(32, 48), (64, 96), (80, 128)]
    with pytest.raises(ValueError, match="factors above 0"):
        SizeAverage(Brightness(), [])


def test_erosion_draws_the_outline_in_and_leaves_inside_and_outside():
    image = square()
    before = torch.sigmoid(Brightness()(image))[0, 0]
    after = torch.sigmoid(SoftErosion(Brightness(), radius=3, threshold=1.0)(image))[0, 0]
    assert (after <= before + 1e-6).all()
    assert after[16, 32] < 0.8 < before[16, 32]
    assert after[32, 32] == pytest.approx(float(before[32, 32]), abs=1e-3)
    assert after[4, 4] == pytest.approx(float(before[4, 4]), abs=1e-3)
    twice = torch.sigmoid(SoftErosion(Brightness(), radius=3, threshold=1.0, rounds=2)(image))
    assert twice.sum() < after.sum()


def test_erosion_spares_people_whom_the_frame_cuts():
    image = torch.ones(1, 3, 32, 32)
    after = torch.sigmoid(SoftErosion(Brightness(), radius=3)(image))
    assert after.min() > 0.99


def test_erosion_fills_up_above_its_threshold():
    class Unsure(torch.nn.Module):
        def forward(self, image):
            return torch.logit(torch.full_like(image[:, :1], 0.45))

    eroded = SoftErosion(Unsure(), threshold=0.5)(torch.zeros(1, 3, 32, 32))
    torch.testing.assert_close(torch.sigmoid(eroded), torch.full((1, 1, 32, 32), 0.9))
    for wrong in ({"radius": 0}, {"threshold": 0}, {"rounds": 0}):
        with pytest.raises(ValueError, match="soft erosion needs"):
            SoftErosion(Unsure(), **wrong)


@pytest.fixture
def weights(tmp_path):
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        facts = {"architecture": "linknet", "width": 4, "training": {}, "scores": {}}
        registry.save(registry.build("linknet", 4), tmp_path, name, **facts)
    return tmp_path


def test_an_untrained_tuner_changes_nothing():
    network = registry.build("unet", 4).eval()
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(MaskTuner(network)(image), network(image))


def test_a_tuner_repairs_what_its_frozen_network_says():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), Sides())
    tuner = MaskTuner(network, 8)
    tuner.train()
    image = square()
    truth = image[:, :1]
    optimizer = torch.optim.Adam([v for v in tuner.parameters() if v.requires_grad], lr=0.02)
    frozen = {key: value.clone() for key, value in network.state_dict().items()}
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    first = loss(tuner(image), truth)
    for _ in range(40):
        optimizer.zero_grad()
        last = loss(tuner(image), truth)
        last.backward()
        optimizer.step()
    assert last < first / 3
    for key, value in network.state_dict().items():
        assert torch.equal(value, frozen[key])


def test_a_tuner_is_kept_without_its_network(weights, tmp_path):
    tuner = MaskTuner(registry.load("one", weights), 6)
    with torch.no_grad():
        tuner.layers[-1].weight.normal_()
    path = tmp_path / "run" / "x.tuner.safetensors"
    save_tuner(tuner, ["one"], weights, path)
    assert path.stat().st_size < 20_000
    again = load_tuner(path, registry.load("one", weights), ["one"], weights)
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(again(image), tuner.eval()(image))
    with pytest.raises(WeightsError, match=r'behind other weights: \["one"\]'):
        load_tuner(path, registry.load("two", weights), ["two"], weights)
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="no readable mask tuner"):
        load_tuner(path, registry.load("one", weights), ["one"], weights)
    with pytest.raises(WeightsError, match="no such file"):
        load_tuner(tmp_path / "none", registry.load("one", weights), ["one"], weights)
