"""Networks rounded to 8 bits: near the exact ones, and only with ranges of their own weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from humanseg.errors import WeightsError  # noqa: E402
from humanseg.models import registry  # noqa: E402
from humanseg.models.quantized import (  # noqa: E402
    LEVELS,
    WEIGHT_LEVELS,
    QuantizedConv,
    dense_convolutions,
    quantize,
)

NAME = "tiny"
ENDS = st.floats(0, 1000, allow_subnormal=False)


@pytest.fixture
def folder(tmp_path):
    """A folder with the weights of one small untrained network."""
    torch.manual_seed(3)
    network = registry.build("efficient-linknet", 16)
    facts = {"architecture": "efficient-linknet", "width": 16, "training": {}, "scores": {}}
    registry.save(network, tmp_path, NAME, **facts)
    return tmp_path


def measured(folder, pictures):
    """Ranges of the network's convolutions on these pictures, found by hand."""
    from humanseg.models.ensemble import fuse_batch_norm

    network = fuse_batch_norm(registry.load(NAME, folder))
    seen = {}
    for name, module in dense_convolutions(network).items():
        module.register_forward_pre_hook(
            lambda _, inputs, name=name: seen.update(
                {name: (float(inputs[0].min()), float(inputs[0].max()))}
            )
        )
    with torch.no_grad():
        network(pictures)
    return seen


def pictures():
    return torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(1))


def plain_convolution(weight):
    convolution = nn.Conv2d(1, len(weight), 1)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor(weight).view(-1, 1, 1, 1))
        convolution.bias.zero_()
    return convolution


def test_a_rounded_network_sees_nearly_the_same(folder):
    registry.save_ranges(NAME, measured(folder, pictures()), {}, folder)
    exact, rounded = registry.load(NAME, folder), registry.load_quantized(NAME, folder)
    with torch.no_grad():
        one, other = exact(pictures()), rounded(pictures())
    apart = (one - other).abs().mean() / one.std()
    assert 0 < apart < 0.1


def test_depthwise_convolutions_stay_as_they_are(folder):
    network = registry.load(NAME, folder)
    depthwise = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1
    }
    assert depthwise
    assert not set(depthwise) & set(dense_convolutions(network))
    quantize(network, dict.fromkeys(dense_convolutions(network), (0, 6)))
    kept = dict(network.named_modules())
    assert all(isinstance(kept[name], nn.Conv2d) for name in depthwise)
    assert isinstance(kept["head"], QuantizedConv)


@given(low=ENDS, high=ENDS, share=st.floats(0, 1))
def test_numbers_move_by_half_a_step_at_most_and_zero_stays_zero(low, high, share):
    layer = QuantizedConv(plain_convolution([1.0]), -low, high)
    value = -low + share * (high + low)
    with torch.no_grad():
        found = layer(torch.tensor([value, 0.0]).view(2, 1, 1, 1)).flatten()
    step = (low + high) / LEVELS
    assert float(found[0]) == pytest.approx(value, abs=1.01 * step + 1e-5)
    assert float(found[1]) == 0


def test_each_output_channel_has_a_scale_of_its_own():
    layer = QuantizedConv(plain_convolution([1.0, 1000.0, 0.0]), 0, LEVELS)
    with torch.no_grad():
        found = layer(torch.full((1, 1, 1, 1), 10.0)).flatten()
    np.testing.assert_allclose(found, [10, 10_000, 0], rtol=1e-5)
    assert WEIGHT_LEVELS * 2 * LEVELS < 2**15


def test_ranges_of_another_network_are_refused(folder):
    with pytest.raises(ValueError, match="no convolution 'elsewhere'"):
        quantize(registry.load(NAME, folder), {"elsewhere": (0, 1)})
    registry.save_ranges(NAME, {"elsewhere": (0, 1)}, {}, folder)
    with pytest.raises(WeightsError, match="another network"):
        registry.load_quantized(NAME, folder)


def test_weights_without_ranges_name_the_command_that_measures_them(folder):
    assert registry.read_ranges(NAME, folder) is None
    with pytest.raises(WeightsError) as caught:
        registry.load_quantized(NAME, folder)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"humanseg calibrate {NAME}")


def test_ranges_come_back_as_they_were_written(folder):
    ranges = {"head": (-1.25, 3.5), "encoder.stem.0": (0.0, 6.0)}
    registry.save_ranges(NAME, ranges, {"pictures": "ten"}, folder)
    assert registry.read_ranges(NAME, folder) == ranges


def test_ranges_do_not_outlive_their_weights(folder):
    registry.save_ranges(NAME, {"head": (0, 1)}, {}, folder)
    path = folder / f"{NAME}.ranges"
    kept = path.read_text()
    facts = {"architecture": "efficient-linknet", "width": 16, "training": {}, "scores": {}}
    registry.save(registry.build("efficient-linknet", 16), folder, NAME, **facts)
    assert not path.exists()
    path.write_text(kept)
    assert registry.read_ranges(NAME, folder) is None


@pytest.mark.parametrize("text", ["no toml [", "[weights]\n", "[weights]\nsha256 = 3\n", "\x00"])
def test_a_damaged_file_of_ranges_is_named(folder, text):
    (folder / f"{NAME}.ranges").write_text(text)
    if "sha256" in text:
        assert registry.read_ranges(NAME, folder) is None
        return
    with pytest.raises(WeightsError, match="no file of ranges"):
        registry.read_ranges(NAME, folder)


def test_shipped_weights_all_have_ranges():
    for card in registry.available():
        assert registry.read_ranges(card.name) is not None, card.name
