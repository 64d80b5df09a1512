"""One set of tests for every network."""

import subprocess
import sys

import pytest
import torch

from humanseg.errors import WeightsError
from humanseg.models import registry
from humanseg.models.blocks import Pointwise
from humanseg.models.efficientnet_lite import EfficientNetLite, load_published
from humanseg.models.ensemble import Ensemble, HalfSize, Serving, fuse_batch_norm
from humanseg.models.registry import NETWORKS, build
from humanseg.settings import ENSEMBLE

WIDTH = 16


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return build(request.param, WIDTH)


@pytest.mark.parametrize("size", [(192, 144), (144, 192), (128, 224), (160, 160), (16, 16)])
def test_logits_have_the_size_of_the_input(network, size):
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, *size)).shape == (1, 1, *size)


def test_logits_can_be_of_either_sign(network):
    with torch.no_grad():
        for layer in reversed(list(network.modules())):
            if isinstance(layer, torch.nn.Conv2d):
                assert layer.out_channels == 1
                assert layer.bias is not None
                break
        logits = network.eval()(torch.rand(4, 3, 64, 64))
    assert (logits - logits.mean()).abs().max() > 0
    assert not isinstance(list(network.modules())[-1], torch.nn.ReLU)


def test_every_parameter_learns(network):
    network.train()(torch.rand(2, 3, 32, 32)).square().mean().backward()
    lazy = [name for name, value in network.named_parameters() if value.grad is None]
    assert lazy == []


def test_pictures_of_a_batch_do_not_influence_each_other(network):
    batch = torch.rand(3, 3, 48, 48)
    with torch.inference_mode():
        together = network.eval()(batch)
        alone = network(batch[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-4)


def test_a_wider_network_has_more_parameters(network):
    count = sum(value.numel() for value in network.parameters())
    kind = next(name for name in NETWORKS if type(network) is type(build(name, WIDTH)))
    assert sum(value.numel() for value in build(kind, 2 * WIDTH).parameters()) > count


def test_weights_survive_saving_and_loading(network, tmp_path):
    kind = next(name for name in NETWORKS if type(network) is type(build(name, WIDTH)))
    network.train()(torch.rand(2, 3, 32, 32))
    card = registry.save(
        network.eval(),
        tmp_path,
        "mine",
        architecture=kind,
        width=WIDTH,
        training={"epochs": 1, "data": ["a", 'with "quotes"']},
        scores={"dice": 0.5},
    )
    loaded = registry.load("mine", tmp_path)
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(image), network(image), atol=3e-2, rtol=3e-2)
    assert registry.read_card("mine", tmp_path) == card
    assert card.parameters == sum(value.numel() for value in network.parameters())


def test_folding_batch_norm_changes_nothing(network):
    network.train()(torch.rand(4, 3, 32, 32))
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        before = network.eval()(image)
        after = fuse_batch_norm(network)(image)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-3)


def test_numbers_beyond_half_precision_survive_saving(tmp_path):
    network = build("linknet", 8)
    state = network.state_dict()
    variance = next(name for name in state if name.endswith("running_var"))
    weight = next(name for name in state if name.endswith("weight"))
    state[variance].fill_(70_000)
    state[weight].view(-1)[0] = -1e6
    save_small(tmp_path, network)
    loaded = registry.load("small", tmp_path).state_dict()
    assert float(loaded[variance].min()) == 70_000
    assert float(loaded[weight].view(-1)[0]) == -1e6


def test_ensemble_is_the_weighted_sum_of_its_members():
    torch.manual_seed(1)
    members = [build(name, WIDTH).eval() for name in ENSEMBLE]
    ensemble = Ensemble(members, [0.1, 0.2, 0.3, 0.4]).eval()
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        expected = sum(s * m(image) for s, m in zip([0.1, 0.2, 0.3, 0.4], members, strict=True))
        torch.testing.assert_close(ensemble(image), expected)
    assert ensemble.shares == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("shares", [[0.5], [1.0, 0.0], [1.0, -1.0]])
def test_shares_must_fit_the_members(shares):
    members = [build("unet", WIDTH), build("unet", WIDTH)]
    with pytest.raises(ValueError, match="shares"):
        Ensemble(members, shares)


class Brightness(torch.nn.Module):
    """Logits that are the brightness, of pictures whose sizes it notes."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, image):
        self.sizes.append(tuple(image.shape[-2:]))
        return image.mean(1, keepdim=True)


def test_half_size_shows_half_and_answers_at_the_whole():
    network = Brightness()
    image = torch.zeros(1, 3, 64, 48)
    image[..., 24:] = 1
    logits = HalfSize(network)(image)
    assert network.sizes == [(32, 24)]
    assert logits.shape == (1, 1, 64, 48)
    assert logits[..., :23].max() == 0
    assert logits[..., 25:].min() == 1


def test_members_of_a_folder_see_half_the_size_as_its_shares_say(tmp_path):
    torch.manual_seed(1)
    facts = {"width": 16, "training": {}, "scores": {}}
    for name in ("one", "two"):
        network = registry.build("efficient-linknet", 16)
        registry.save(network, tmp_path, name, architecture="efficient-linknet", **facts)
    image = torch.rand(1, 3, 64, 48)
    shares = {"one": 0.75, "two": 0.25}
    registry.save_shares(shares, {}, tmp_path, halved=["two"])
    assert registry.read_shares(tmp_path) == shares
    assert registry.read_halved(["two", "one"], tmp_path) == ("two",)
    assert registry.read_halved(["two"], tmp_path) == ()
    one, two = (registry.load(name, tmp_path) for name in shares)
    with torch.inference_mode():
        found = registry.load_ensemble(["two", "one"], tmp_path)(image)
        torch.testing.assert_close(found, 0.75 * one(image) + 0.25 * HalfSize(two)(image))
        # Alone, and in another company, a network sees all there is.
        torch.testing.assert_close(registry.load_ensemble(["two"], tmp_path)(image), two(image))


def test_only_networks_that_take_it_are_halved(tmp_path):
    facts = {"width": 4, "training": {}, "scores": {}}
    registry.save(registry.build("unet", 4), tmp_path, "old", architecture="unet", **facts)
    with pytest.raises(WeightsError, match="'old' cannot see half the size"):
        registry.load_members(["old"], ["old"], tmp_path)
    registry.save_shares({"old": 1.0}, {}, tmp_path, halved=["new"])
    with pytest.raises(WeightsError, match="what is halved must have a share"):
        registry.read_shares(tmp_path)


def test_serving_takes_bgr_bytes():
    network = build("unet", WIDTH).eval()
    batch = torch.randint(0, 255, (2, 32, 48, 3), dtype=torch.uint8)
    with torch.inference_mode():
        probability = Serving(network)(batch)
        rgb = batch.flip(-1).permute(0, 3, 1, 2).float() / 255
        torch.testing.assert_close(probability, torch.sigmoid(network(rgb))[:, 0])


def published_state(encoder):
    """The encoder's own tensors under other names, as a package of weights would hold them."""
    return {f"_{number}": value + 1.0 for number, value in enumerate(own_tensors(encoder))}


def own_tensors(encoder):
    state = encoder.state_dict()
    return [state[key] for key in state if not key.endswith("num_batches_tracked")]


def test_an_encoder_takes_published_weights_in_their_order():
    encoder = EfficientNetLite("lite0")
    published = published_state(encoder)
    load_published(encoder, {**published, "classifier": torch.zeros(3)})
    for mine, theirs in zip(own_tensors(encoder), published.values(), strict=True):
        assert torch.equal(mine, theirs)


def test_an_encoder_refuses_the_weights_of_another_variant():
    with pytest.raises(ValueError, match="another variant"):
        load_published(EfficientNetLite("lite0"), published_state(EfficientNetLite("lite2")))


def test_an_encoder_gives_five_sizes_rounded_up():
    with torch.inference_mode():
        features = EfficientNetLite("lite0").eval()(torch.rand(1, 3, 144, 208))
    assert [tuple(level.shape[-2:]) for level in features] == [
        (72, 104), (36, 52), (18, 26), (9, 13), (5, 7)
    ]  # fmt: skip


def test_sdunet_refuses_a_width_it_cannot_share_out():
    with pytest.raises(ValueError, match="multiple of 16"):
        build("sdunet", 24)


def test_an_unknown_network_is_named_with_the_known_ones():
    with pytest.raises(WeightsError, match="unet, sdunet"):
        build("resnet", 16)


def save_small(folder, network=None):
    return registry.save(
        network or build("linknet", 8),
        folder,
        "small",
        architecture="linknet",
        width=8,
        training={},
        scores={},
    )


def test_damaged_weights_are_refused(tmp_path):
    save_small(tmp_path)
    path = tmp_path / "small.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="checksum"):
        registry.load("small", tmp_path)


def test_weights_of_another_network_are_refused(tmp_path):
    save_small(tmp_path)
    card = tmp_path / "small.toml"
    card.write_text(card.read_text().replace("width = 8", "width = 16"))
    with pytest.raises(WeightsError, match="does not fit"):
        registry.load("small", tmp_path)


def test_missing_weights_name_those_there_are(tmp_path):
    save_small(tmp_path)
    with pytest.raises(WeightsError, match="small"):
        registry.load("large", tmp_path)
    (tmp_path / "small.safetensors").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        registry.load("small", tmp_path)


@pytest.mark.parametrize("content", [b"[network]\nname = 3\n", b"[network", b"\xff\x00\x80"])
def test_a_broken_card_is_refused(content, tmp_path):
    (tmp_path / "odd.toml").write_bytes(content)
    with pytest.raises(WeightsError, match="no card"):
        registry.read_card("odd", tmp_path)


@pytest.mark.parametrize("size", [(8, 14), (5, 7), (1, 1)])
def test_a_pointwise_convolution_is_one_with_a_stride(size):
    ours, plain = Pointwise(4, 8, 2), torch.nn.Conv2d(4, 8, 1, stride=2, bias=False)
    plain.load_state_dict(ours.state_dict())
    features = torch.rand(2, 4, *size)
    torch.testing.assert_close(ours(features), plain(features))


STEPS = """
import torch
from humanseg.models.blocks import ResidualBlock
for channels in (4, 8):
    block = ResidualBlock(channels, 2 * channels, stride=2).to(memory_format=torch.channels_last)
    for size in ((4, 7), (5, 5), (8, 14), (32, 56), (64, 112)) * 6:
        features = torch.rand(16, channels, *size).contiguous(memory_format=torch.channels_last)
        block(features.requires_grad_()).square().mean().backward()
"""


def test_few_channels_that_come_last_learn_without_damage_to_memory():
    # In a process of its own, which such damage ends.
    assert subprocess.run([sys.executable, "-c", STEPS], check=False).returncode == 0
