from fractions import Fraction

import numpy as np
import pytest

from humanseg.errors import SettingsError
from humanseg.frames import Frame
from humanseg.segmenter import Segmenter
from humanseg.settings import PRESETS, find_preset
from humanseg.testing import BrightnessEngine
from humanseg.threads import available_cores, share

RANDOM = np.random.default_rng(5)


class ByHeight(BrightnessEngine):
    """Masks tell the height at which they were made, in thousands."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def infer(self, batch):
        self.shapes.append(batch.shape)
        return np.full(batch.shape[:3], batch.shape[1] / 1000, np.float32)


def picture(height, width, value=None):
    if value is None:
        return RANDOM.integers(0, 255, (height, width, 3), np.uint8)
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    "size", [(720, 1280), (320, 240), (480, 640), (481, 641), (10, 300), (1, 1)]
)
def test_alphas_have_the_pictures_size(size):
    segmenter = Segmenter.from_engine(BrightnessEngine())
    [alpha] = segmenter.predict([picture(*size)])
    assert alpha.shape == size
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


def test_mixed_sizes_keep_their_order():
    segmenter = Segmenter.from_engine(BrightnessEngine())
    values = [250, 3, 240, 5, 230]
    sizes = [(90, 160), (160, 90), (90, 160), (100, 100), (160, 90)]
    pictures = [picture(*size, value) for size, value in zip(sizes, values, strict=True)]
    alphas = segmenter.predict(pictures)
    assert [alpha.shape for alpha in alphas] == sizes
    assert [round(float(alpha.mean())) for alpha in alphas] == [1, 0, 1, 0, 1]


def test_frames_and_arrays_are_the_same():
    segmenter = Segmenter.from_engine(BrightnessEngine())
    pixels = picture(90, 160)
    [one], [other] = segmenter.masks([pixels]), segmenter.masks([Frame(pixels, 0, Fraction(0))])
    np.testing.assert_array_equal(one, other)


def test_no_frames_give_no_masks():
    assert Segmenter.from_engine(BrightnessEngine()).masks([]) == []


def test_masks_have_the_frames_shape_without_the_padding():
    engine = BrightnessEngine()
    [mask] = Segmenter.from_engine(engine).masks([picture(720, 1280)])
    assert engine.batches == [(1, 128, 224, 3)]
    assert mask.shape == (126, 224)


def test_the_mask_lies_where_the_picture_is_bright():
    pixels = picture(720, 1280, 0)
    pixels[180:540, 320:640] = 255
    [mask] = Segmenter.from_engine(BrightnessEngine()).masks([pixels])
    rows, columns = np.nonzero(mask > 0.5)
    assert abs(rows.min() - 31.5) <= 1
    assert abs(rows.max() - 94.5) <= 1
    assert abs(columns.min() - 56) <= 1
    assert abs(columns.max() - 112) <= 1


def test_batches_are_as_large_as_what_is_there():
    engine = BrightnessEngine()
    masks = Segmenter.from_engine(engine).masks([picture(90, 160)] * 3)
    assert len(masks) == 3
    assert engine.batches == [(3, 128, 224, 3)]


def test_networks_may_see_a_frame_in_several_sizes():
    engine = ByHeight()
    areas = (128 * 224, 2 * 128 * 224)
    first, second = Segmenter.from_engine(engine, areas=areas).masks([picture(720, 1280)] * 2)
    assert engine.shapes == [(2, 128, 224, 3), (2, 176, 320, 3)]
    assert first.shape == second.shape == (176, 313)
    np.testing.assert_allclose(first, (128 + 176) / 2 / 1000, atol=1e-6)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'balanced'"):
        find_preset("balancd")
    with pytest.raises(SettingsError, match="fast, balanced, best"):
        Segmenter("zzz")


def test_presets_are_what_the_documents_say():
    assert list(PRESETS) == ["fast", "balanced", "best"]
    assert len(PRESETS["fast"].models) == 1
    assert (
        PRESETS["balanced"].models
        == PRESETS["best"].models
        == ("unet", "sdunet", "linknet", "hrnet")
    )
    assert [len(preset.areas) for preset in PRESETS.values()] == [1, 1, 2]


def test_threads_are_shared_out():
    assert share(1) == share(1)
    for total in (1, 2, 5, 64):
        shares = share(total)
        assert min(shares.decode, shares.infer, shares.picture, shares.encode) >= 1
        assert max(shares.decode, shares.infer, shares.picture, shares.encode) <= total
    assert share(None) == share(available_cores())
    with pytest.raises(ValueError, match="at least 1"):
        share(0)
