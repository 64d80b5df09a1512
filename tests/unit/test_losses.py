"""What training minimises: what costs and what does not."""

import pytest

torch = pytest.importorskip("torch")

from humanseg_training.losses import (  # noqa: E402
    BOUNDARY_REACH,
    boundary_band,
    disagreement,
    segmentation_loss,
    soft_dice,
    weighted_bce,
)


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


def half(size=32):
    """The left half is a person."""
    mask = plane(0, size)
    mask[..., : size // 2] = 1
    return mask


def test_the_band_lies_along_the_outline_only():
    band = boundary_band(half())
    columns = band[0, 0].amax(dim=0)
    inside = range(16 - BOUNDARY_REACH, 16 + BOUNDARY_REACH)
    assert [column for column in range(32) if columns[column] == 1] == list(inside)
    assert columns.sum() == 2 * BOUNDARY_REACH
    assert boundary_band(plane(1)).max() == 0
    assert boundary_band(plane(0)).max() == 0


def test_an_error_on_the_outline_costs_more_than_the_same_elsewhere():
    truth, weights = half(), plane(1)
    right = (truth * 2 - 1) * 5
    on_outline, elsewhere = right.clone(), right.clone()
    on_outline[..., 16] = 5
    elsewhere[..., 28] = 5

    def cost(logits, boundary):
        return segmentation_loss(logits, truth, weights, boundary=boundary)["bce"]

    torch.testing.assert_close(cost(on_outline, 0.0), cost(elsewhere, 0.0))
    assert cost(on_outline, 2.0) > 2 * cost(elsewhere, 2.0)


def test_a_boundary_weight_counts_only_where_pixels_count():
    truth = half()
    weights = plane(1)
    weights[..., 10:22] = 0
    logits = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = segmentation_loss(logits, truth, weights)["bce"]
    weighed = segmentation_loss(logits, truth, weights, boundary=3.0)["bce"]
    torch.testing.assert_close(plain, weighed)


def test_parts_of_a_batch_add_up_to_the_whole():
    generator = torch.Generator().manual_seed(1)
    logits, masks, weights = (torch.rand(4, 1, 8, 8, generator=generator) for _ in range(3))
    weights[2:] *= 0.1  # the parts count differently
    whole = weighted_bce(logits, masks, weights)
    mean = (weights[:2].sum() + weights[2:].sum()) / 2
    parts = [
        weighted_bce(logits[part], masks[part], weights[part], share=lambda own: mean)
        for part in (slice(0, 2), slice(2, 4))
    ]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_views_that_disagree_cost_and_agreement_is_free():
    weights = plane(1)
    assert disagreement(plane(3), plane(3), weights) == 0
    assert disagreement(plane(9), plane(-9), weights) > 0.99
    weights[..., 16:] = 0
    apart = plane(9)
    apart[..., 16:] = -9
    assert disagreement(apart, plane(9), weights) == 0
    assert disagreement(apart, plane(9), plane(0)).isfinite()
