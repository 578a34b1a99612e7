import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from wsseg import Batch, ClassRelation, EStep, Evidence, Multiclass, Multilabel, make
from wsseg.components.esteps import AdaptEM, HardEM, ProportionEM, SoftEM
from wsseg.testing import check_estep
from wsseg.testing.samples import evidence_to_fit
from wsseg_crf import Smoothed


def smoothed(inner: EStep, **changes: float) -> Smoothed:
    settings = {
        "spatial_weight": 1.5,
        "spatial_sd_px": 1.0,
        "bilateral_weight": 2.0,
        "bilateral_sd_px": 2.0,
        "bilateral_sd_intensity": 100.0,
        "radius_px": 2,
        "iterations": 3,
    }
    return Smoothed.model_validate({"inner": inner} | settings | changes)


def field(log_odds: list[list[float]], intensity: list[list[float]] | None = None) -> Evidence:
    """Return the evidence of one image without background and a prior of 1/2."""
    logits = torch.tensor(log_odds)[None, None]
    image = torch.zeros_like(logits) if intensity is None else torch.tensor(intensity)[None, None]
    batch = Batch(image[:, None], torch.ones_like(logits).bool(), torch.ones(1, 1).bool())
    return Evidence(batch, logits, torch.full_like(logits, 0.5))


def random_evidence(seed: int, labels: ClassRelation) -> Evidence:
    dice = torch.Generator().manual_seed(seed)
    image = 200 * torch.randn(2, 3, 4, 5, generator=dice)
    region = torch.rand(2, 1, 4, 5, generator=dice) < 0.8
    tags = torch.tensor([[True, True], [True, False]])
    logits = 3 * torch.randn(2, 2, 4, 5, generator=dice)
    phi = torch.rand(2, 2, 4, 5, generator=dice)
    return Evidence(Batch(image[:, None], region, tags), logits, phi, labels)


def naive_probability(
    log_odds: list[float], labels: ClassRelation
) -> tuple[list[float], list[float]]:
    """Return the probability of each class, and that of its alternative."""
    odds = [math.exp(a) for a in log_odds]
    if isinstance(labels, Multiclass):
        total = 1 + sum(odds)
        return [each / total for each in odds], [1 / total] * len(odds)
    return [each / (1 + each) for each in odds], [1 / (1 + each) for each in odds]


def naive_weight(crf: Smoothed, way: tuple[int, int], contrast: float) -> float:
    """Return k_ij of one pair of pixels."""
    reach = range(-crf.radius_px, crf.radius_px + 1)
    window = [(y, x) for y in reach for x in reach if (y, x) != (0, 0)]
    if way not in window:
        return 0.0

    def near(y: int, x: int, sd: float) -> float:
        return math.exp(-(y**2 + x**2) / (2 * sd**2))

    spatial = near(*way, crf.spatial_sd_px)
    bilateral = near(*way, crf.bilateral_sd_px)
    bilateral *= math.exp(-(contrast**2) / (2 * crf.bilateral_sd_intensity**2))
    return crf.spatial_weight * spatial / sum(
        near(*each, crf.spatial_sd_px) for each in window
    ) + crf.bilateral_weight * bilateral / sum(near(*each, crf.bilateral_sd_px) for each in window)


def naive_posterior(crf: Smoothed, evidence: Evidence) -> Tensor:
    """Run mean-field inference in loops over pixels and pairs."""
    alone, labels = evidence.log_odds.double(), evidence.labels
    middle, region = evidence.batch.middle[:, 0].tolist(), evidence.batch.region[:, 0]
    images, classes, height, width = alone.shape
    q = torch.zeros_like(alone)
    for b in range(images):
        inside = [(r, c) for r, c in region[b].nonzero().tolist()]
        belief = {(r, c): alone[b, :, r, c].tolist() for r, c in inside}
        for _ in range(crf.iterations):
            on = {place: naive_probability(belief[place], labels) for place in inside}
            for r, c in inside:
                new = alone[b, :, r, c].tolist()
                for y, x in inside:
                    weight = naive_weight(crf, (y - r, x - c), middle[b][r][c] - middle[b][y][x])
                    for k in range(classes):
                        new[k] += weight * (on[y, x][0][k] - on[y, x][1][k])
                belief[r, c] = new
        for r, c in inside:
            q[b, :, r, c] = torch.tensor(naive_probability(belief[r, c], labels)[0])
    assert q.shape == (images, classes, height, width)
    return q


@pytest.mark.parametrize("inner", [HardEM(), AdaptEM(share=0.2)])
@pytest.mark.parametrize("classes", [1, 2])
def test_the_estep_passes_the_conformance_test(inner: EStep, classes: int) -> None:
    check_estep(smoothed(inner), classes)


@pytest.mark.parametrize("labels", [Multilabel(), Multiclass()])
@pytest.mark.parametrize("radius", [1, 2, 9])
def test_targets_equal_those_of_a_loop_over_pixels_and_pairs(
    labels: ClassRelation, radius: int
) -> None:
    evidence = random_evidence(radius, labels)
    crf = smoothed(SoftEM(), radius_px=radius)
    expected = naive_posterior(crf, evidence).float()
    torch.testing.assert_close(crf(evidence), expected, atol=1e-5, rtol=1e-4)


def test_the_inner_estep_is_fitted() -> None:
    evidence = evidence_to_fit(classes=1)
    fitted = smoothed(ProportionEM()).fit([evidence])
    assert fitted.inner == ProportionEM().fit([evidence])
    assert not fitted.separates_images
    check_estep(fitted, classes=1)


def test_one_iteration_equals_hand_computed_log_odds() -> None:
    # The window has 8 neighbours with the sum S = 4 e^-1/2 + 4 e^-1. Each of the two neighbours in
    # the row has the weight e^-1/2 / S and the opinion q - (1 - q) = 1/2, since q = 3/4.
    share = 2 * math.exp(-0.5) / (4 * math.exp(-0.5) + 4 * math.exp(-1))
    evidence = field([[math.log(3), -0.1, math.log(3)]])
    crf = smoothed(SoftEM(), bilateral_weight=0, radius_px=1, iterations=1)
    log_odds = -0.1 + 1.5 * share * 0.5
    assert crf(evidence)[0, 0, 0, 1].item() == pytest.approx(1 / (1 + math.exp(-log_odds)))


@given(st.integers(0, 2**31), st.sampled_from([Multilabel(), Multiclass()]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_weights_of_0_give_exactly_the_targets_of_the_inner_estep(
    seed: int, labels: ClassRelation, soft: bool
) -> None:
    evidence, inner = random_evidence(seed, labels), SoftEM() if soft else AdaptEM(share=0.3)
    crf = smoothed(inner, spatial_weight=0, bilateral_weight=0)
    assert torch.equal(crf(evidence), inner(evidence))


def test_an_isolated_pixel_is_removed_and_a_hole_is_filled() -> None:
    speck = [[-2.0] * 5 for _ in range(5)]
    speck[2][2] = 1.0
    hole = [[-each for each in row] for row in speck]
    assert not smoothed(HardEM())(field(speck)).any()
    assert smoothed(HardEM())(field(hole)).all()


def test_only_the_spatial_kernel_smooths_across_an_edge_in_the_image() -> None:
    log_odds = [[3.0, 3.0, -0.2, -0.2]] * 4
    intensity = [[0.0, 0.0, 900.0, 900.0]] * 4
    across = field(log_odds, intensity)
    bilateral = smoothed(HardEM(), spatial_weight=0, iterations=1)(across)
    spatial = smoothed(HardEM(), spatial_weight=3, bilateral_weight=0, iterations=1)(across)
    assert bilateral[0, 0].tolist() == [[1, 1, 0, 0]] * 4
    assert spatial[0, 0, :, 2].all()


def test_pixels_outside_the_region_have_no_influence() -> None:
    evidence = random_evidence(7, Multilabel())
    loud = evidence.logits.where(evidence.batch.region, 50.0)
    image = evidence.batch.image.where(evidence.batch.region.unsqueeze(1), 0.0)
    batch = replace(evidence.batch, image=image)
    crf = smoothed(SoftEM())
    assert torch.equal(crf(evidence), crf(replace(evidence, logits=loud, batch=batch)))


def test_pixels_with_a_certain_prior_do_not_change() -> None:
    evidence = field([[-4.0] * 3] * 3)
    evidence.phi[0, 0, 1, 1] = 1
    y = smoothed(HardEM(), spatial_weight=50)(evidence)
    assert y[0, 0].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_the_inner_estep_is_built_by_its_name() -> None:
    written = smoothed(HardEM()).model_dump() | {"inner": {"use": "adapt", "share": 0.1}}
    assert make(EStep, "smoothed", **written) == smoothed(AdaptEM(share=0.1))


@pytest.mark.parametrize("wrong", [
    {"radius_px": 0}, {"spatial_sd_px": 0.01}, {"bilateral_weight": -1}, {"iterations": 0},
])  # fmt: skip
def test_invalid_constants_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="greater than"):
        smoothed(HardEM(), **wrong)
