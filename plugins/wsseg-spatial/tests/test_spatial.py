import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from wsseg import Batch
from wsseg.testing import check_prior
from wsseg_spatial import Spatial


def log_odds_in(region: Tensor, prior: Spatial) -> Tensor:
    region = region[None, None]
    batch = Batch(torch.zeros(region.shape)[:, None], region, torch.ones(1, 1).bool())
    return prior(batch)[0, 0].double().logit()


def naive_log_odds(region: Tensor, prior: Spatial) -> Tensor:
    outside = [(r, c) for r, c in (~region).nonzero().tolist()]
    found = torch.full(region.shape, prior.border, dtype=torch.float64)
    for r, c in region.nonzero().tolist():
        nearest = min((math.hypot(r - y, c - x) for y, x in outside), default=math.inf)
        share = min(1.0, (nearest - 1) / prior.depth_px)
        found[r, c] = prior.border + (prior.inside - prior.border) * share
    return found


@pytest.mark.parametrize("prior", [
    Spatial(border=-2, inside=1, depth_px=4),
    Spatial(border=3, inside=0, depth_px=0.5),
    Spatial(border=0, inside=-1, depth_px=100),
])  # fmt: skip
@pytest.mark.parametrize("classes", [1, 3])
def test_the_prior_passes_the_conformance_test(prior: Spatial, classes: int) -> None:
    check_prior(prior, classes)


def test_phi_equals_hand_computed_values() -> None:
    region = torch.tensor([[False, True, True, True, True, True, False]])
    found = log_odds_in(region, Spatial(border=-2, inside=0, depth_px=4))
    inside = [-2, -1.5, -1, -1.5, -2]  # 0, 1 and 2 of 4 pixels deep
    assert found[0, 1:6].tolist() == pytest.approx(inside, abs=1e-5)


def test_diagonal_distances_are_euclidean() -> None:
    region = torch.ones(5, 5).bool()
    region[0, 0] = False
    found = log_odds_in(region, Spatial(border=0, inside=1, depth_px=10))
    assert found[3, 4].item() == pytest.approx((5 - 1) / 10, abs=1e-5)  # 3, 4, 5


@given(st.integers(0, 2**31), st.floats(0.1, 6), st.floats(-3, 3), st.floats(-3, 3))
@settings(max_examples=40, deadline=None)
def test_log_odds_equal_those_of_a_naive_distance_transform(
    seed: int, depth_px: float, border: float, inside: float
) -> None:
    region = torch.rand(9, 7, generator=torch.Generator().manual_seed(seed)) < 0.9
    prior = Spatial(border=border, inside=inside, depth_px=depth_px)
    found, expected = log_odds_in(region, prior), naive_log_odds(region, prior)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_edge_of_the_image_is_not_a_border_of_the_region() -> None:
    region = torch.ones(4, 4).bool()
    found = log_odds_in(region, Spatial(border=-3, inside=2, depth_px=2))
    assert found.flatten().tolist() == pytest.approx([2] * 16, abs=1e-5)


def test_a_depth_of_0_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Spatial(border=0, inside=1, depth_px=0)
