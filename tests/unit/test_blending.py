"""Edges: mixed in light, in the people's own colour, against a truth made on the spot."""

import cv2
import numpy as np
import pytest

from humanseg.blending import blend, light_wrap
from humanseg.foreground import near_colours, shrink_both
from humanseg.light import from_light, to_light

RANDOM = np.random.default_rng(5)


def scene(seed):
    """A textured foreground, two textured backgrounds, and an alpha with a soft, hairy edge."""
    random = np.random.default_rng(seed)
    layers = [texture(random, base) for base in ((30, 60, 150), (200, 190, 170), (60, 120, 40))]
    shape = cv2.resize(random.random((6, 9), np.float32), (480, 270), interpolation=cv2.INTER_CUBIC)
    alpha = cv2.GaussianBlur((shape > 0.5).astype(np.float32), (0, 0), 2)
    hair = cv2.GaussianBlur(random.random((270, 480), np.float32), (0, 0), 1) - 0.5
    return *layers, np.clip(alpha + 10 * hair * alpha * (1 - alpha), 0, 1)


def texture(random, base):
    waves = cv2.resize(random.normal(0, 25, (17, 30, 3)), (480, 270)) + base
    return np.clip(waves + random.normal(0, 3, waves.shape), 0, 255).astype(np.uint8)


def in_light(front, behind, alpha):
    """What a lens sees: the truth that blends are held against."""
    share = alpha[..., None]
    stored = [layer / 255 for layer in (front, behind)]
    light = [np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4) for x in stored]
    mixed = light[0] * share + light[1] * (1 - share)
    back = np.where(mixed <= 0.0031308, mixed * 12.92, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return np.round(back * 255).astype(np.uint8)


def edge_error(found, true, alpha):
    edge = (alpha > 0.02) & (alpha < 0.98)
    return np.abs(found[edge].astype(int) - true[edge]).mean()


def test_edges_over_a_new_background_are_nearer_the_truth_than_a_naive_blend():
    naive, clean, careful = [], [], []
    for seed in range(4):
        front, old, new, alpha = scene(seed)
        seen, true = in_light(front, old, alpha), in_light(front, new, alpha)
        near = near_colours(*shrink_both(seen, alpha))
        naive.append(edge_error(blend(seen, new, alpha), true, alpha))
        clean.append(edge_error(blend(seen, new, alpha, near=near), true, alpha))
        both = blend(seen, new, alpha, linear_light=True, near=near)
        careful.append(edge_error(both, true, alpha))
    assert np.mean(clean) < 0.6 * np.mean(naive)
    assert np.mean(careful) < 0.6 * np.mean(clean)


def test_blending_in_light_is_exact_where_the_layers_are_known():
    front, _, behind, alpha = scene(1)
    found = blend(front, behind, alpha, linear_light=True).astype(int)
    # Shares of less than 1/255 are none.
    assert np.abs(found - in_light(front, behind, alpha)).max() <= 3


def test_light_there_and_back_is_the_same_value():
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(from_light(to_light(every)), every)
    assert (np.diff(to_light(every)) > 0).all()


@pytest.mark.parametrize("linear_light", [False, True])
@pytest.mark.parametrize("glow", [0.0, 0.5])
def test_sure_pixels_are_untouched(linear_light, glow):
    front, near_behind, behind, _ = scene(2)
    alpha = np.zeros((270, 480), np.float32)
    alpha[:, 200:] = 1
    near = near_colours(*shrink_both(near_behind, alpha))
    wrap = light_wrap(alpha, glow) if glow else None
    found = blend(front, behind, alpha, linear_light=linear_light, near=near, glow=wrap)
    np.testing.assert_array_equal(found[:, :200], behind[:, :200])
    np.testing.assert_array_equal(found[:, 240:], front[:, 240:])


def test_light_wrap_carries_the_backgrounds_light_over_the_edge_only():
    black, white = np.zeros((270, 480, 3), np.uint8), np.full((270, 480, 3), 255, np.uint8)
    alpha = np.zeros((270, 480), np.float32)
    alpha[:, 200:] = 1
    lit = blend(black, white, alpha, glow=light_wrap(alpha, 0.8))[135, :, 0].astype(int)
    assert lit[201] > 60
    assert (np.diff(lit[200:230]) <= 0).all()
    assert lit[230] == 0
