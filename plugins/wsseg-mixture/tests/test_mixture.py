import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from wsseg import Batch, InputError
from wsseg.components.registry import registry
from wsseg.testing import check_prior
from wsseg_mixture import QUANTILES, Mixture

BACKGROUND, LESION = (-600.0, 80.0), (0.0, 80.0)  # mean and spread, HU


def normal(dice: torch.Generator, mean_sd: tuple[float, float], *shape: int) -> Tensor:
    return mean_sd[0] + mean_sd[1] * torch.randn(shape, generator=dice)


def cohort(
    share: float, cases: int = 10, seed: int = 0, lesion: tuple[float, float] = LESION
) -> list[Batch]:
    """Return `cases` cases with the class and as many without it, of two slices each."""
    dice = torch.Generator().manual_seed(seed)
    batches = []
    for number in range(2 * cases):
        tagged = number % 2 == 0
        image = normal(dice, BACKGROUND, 2, 1, 24, 24)
        sick = (torch.rand(image.shape, generator=dice) < share) & tagged
        image = image.where(~sick, normal(dice, lesion, *image.shape))
        region = torch.rand(image.shape, generator=dice) < 0.9
        tags = torch.full((2, 1), tagged)
        batches.append(Batch(image[:, None], region, tags, (f"case-{number}",) * 2))
    return batches


def phi_at(prior: Mixture, *hu: float) -> list[float]:
    image = torch.tensor(hu).reshape(1, 1, 1, -1)
    batch = Batch(image[:, None], torch.ones_like(image).bool(), torch.ones(1, 1).bool())
    found: list[float] = prior(batch).flatten().tolist()
    return found


def slices(values: list[float], tagged: list[bool], case: tuple[str, ...] = ()) -> Batch:
    """Return slices of constant intensity."""
    image = torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    tags = torch.tensor(tagged)[:, None]
    return Batch(image[:, None], torch.ones_like(image).bool(), tags, case)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_prior_passes_the_conformance_test(classes: int) -> None:
    check_prior(Mixture(), classes)


def test_a_fitted_prior_passes_the_conformance_test() -> None:
    check_prior(Mixture().fit(cohort(0.3)))


def test_phi_is_one_half_before_fit() -> None:
    assert phi_at(Mixture(), -1000, 0, 1000) == [0.5, 0.5, 0.5]


def test_a_bright_lesion_is_learnt_from_tags() -> None:
    fitted = Mixture().fit(cohort(0.2))
    lesion = phi_at(fitted, -100, 0, 100)
    background = phi_at(fitted, -700, -600, -500)
    assert min(lesion) > 0.8
    assert max(background) < 0.25


def test_a_dark_lesion_is_learnt_from_tags() -> None:
    fitted = Mixture().fit(cohort(0.2, lesion=(-1000, 60)))
    dark, bright = phi_at(fitted, -1000, -500)
    assert dark > 0.8
    assert bright < 0.2


def test_the_decision_does_not_depend_on_the_share_of_lesion() -> None:
    """phi > 1/2 where p1 > p0: above the midpoint, because both standard deviations are equal."""
    for share in (0.05, 0.2, 0.5):
        below, above = phi_at(Mixture().fit(cohort(share)), -400, -200)
        assert below < 0.5 < above


def naive_log_odds(batches: list[Batch], fitted: Mixture) -> list[float]:
    """Evaluate the equations of the docstring with all pixels, in loops."""
    pixels: dict[bool, list[float]] = {True: [], False: []}
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for batch in batches:
        for b, name in enumerate(batch.case):
            tagged = bool(batch.tags[b, 0])
            pixels[tagged] += batch.middle[b][batch.region[b]].tolist()
            names[tagged].add(name)
    both = np.array(pixels[True] + pixels[False])
    lower, upper = np.quantile(both, [0.25, 0.75])
    n0, n1 = len(names[False]), len(names[True])
    width = 0.9 * min(both.std(), (upper - lower) / 1.34) / min(n0, n1) ** 0.2
    density = {}
    for tagged, values in pixels.items():
        at = [sum(math.exp(-(((x - v) / width) ** 2) / 2) for v in values) for x in fitted.levels]
        density[tagged] = [each / sum(at) for each in at]
    p0, p1 = density[False], density[True]
    background = min(b / a for a, b in zip(p0, p1, strict=True))
    lesion = [(b - background * a) / (1 - background) for a, b in zip(p0, p1, strict=True)]
    return [
        math.log((n1 * x + a) / (n1 + 1) * (n0 + 1) / (n0 * a + x))
        for a, x in zip(p0, lesion, strict=True)
    ]


def test_log_odds_equal_the_equations_in_a_loop_over_pixels() -> None:
    dice = torch.Generator().manual_seed(3)
    batches = []
    for number in range(7):
        tagged = number < 3
        image = normal(dice, (-500, 150), 2, 3, 7, 7) + 120 * tagged * (number % 2 + 1)
        some = 0.9 if number % 2 else 0.2  # regions of different sizes
        region = torch.rand(2, 1, 7, 7, generator=dice) < some
        tags = torch.full((2, 1), tagged)
        batches.append(Batch(image[:, None], region, tags, (f"case-{number}",) * 2))
    fitted = Mixture().fit(batches)
    expected = naive_log_odds(batches, fitted)
    assert fitted.log_odds[0] == pytest.approx(expected, abs=0.08)  # quantiles represent the pixels


def test_log_odds_are_interpolated_linearly_between_levels() -> None:
    prior = Mixture(levels=(0, 10, 20), log_odds=((-1, 1, 3),))
    expected = [1 / (1 + math.exp(-each)) for each in (-1, -1, 0, 1, 2.5, 3, 3)]
    assert phi_at(prior, -500, 0, 5, 10, 17.5, 20, 500) == pytest.approx(expected)


def test_each_class_is_learnt_separately() -> None:
    dark = [slices([-900.0], [True], (f"d{i}",)) for i in range(9)]
    plain = [slices([-500.0 + i], [False], (f"p{i}",)) for i in range(9)]
    bright = [slices([0.0], [True], (f"b{i}",)) for i in range(9)]
    tags = {"d": [True, False], "p": [False, False], "b": [False, True]}
    batches = [
        Batch(each.image, each.region, torch.tensor([tags[each.case[0][0]]]), each.case)
        for each in (*dark, *plain, *bright)
    ]
    fitted = Mixture().fit(batches)
    image = torch.tensor([-900.0, -500.0, 0.0]).reshape(1, 1, 1, 3)
    phi = fitted(Batch(image[:, None], torch.ones_like(image).bool(), torch.ones(1, 2).bool()))
    assert (phi[0, :, 0] > 0.5).tolist() == [[True, False, False], [False, False, True]]


def test_the_odds_are_bounded_by_the_number_of_cases() -> None:
    for cases, most in ((1, 1.0), (2, 2.0), (4, 4.0)):
        odds = np.exp(Mixture().fit(cohort(0.3, cases)).log_odds[0])
        limit = cases / (cases + 1) * (cases + 1)
        assert limit == most
        assert 1 / limit - 1e-6 <= odds.min() <= odds.max() <= limit + 1e-6


def test_slices_of_the_same_case_count_as_one_case() -> None:
    names = ("sick",) * 6 + ("well",) * 6
    batch = slices([0.0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15], [True] * 6 + [False] * 6, names)
    assert Mixture().fit([batch]).log_odds[0] == pytest.approx([0] * 64, abs=1e-9)
    nameless = Batch(batch.image, batch.region, batch.tags)
    assert max(Mixture().fit([nameless]).log_odds[0]) > 1


@given(st.integers(0, 2**31), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_phi_is_one_half_if_intensities_do_not_depend_on_the_tag(seed: int, cases: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    images = [normal(dice, BACKGROUND, 1, 1, 6, 6) for _ in range(cases)]
    same = [
        Batch(image[:, None], torch.ones_like(image).bool(), torch.tensor([[tagged]]))
        for image in images
        for tagged in (False, True)
    ]
    assert Mixture().fit(same).log_odds[0] == pytest.approx([0] * 64, abs=1e-6)


def test_pixels_outside_the_region_are_ignored() -> None:
    batches = cohort(0.3)
    noisy = [
        replace(each, image=each.image.where(each.region.unsqueeze(1), 9999)) for each in batches
    ]
    assert Mixture().fit(noisy) == Mixture().fit(batches)


def test_fit_does_not_depend_on_how_slices_are_batched() -> None:
    batches = cohort(0.3)
    one_by_one = [
        Batch(b.image[i : i + 1], b.region[i : i + 1], b.tags[i : i + 1], b.case[i : i + 1])
        for b in batches
        for i in range(2)
    ]
    assert Mixture().fit(iter(one_by_one)) == Mixture().fit(batches)


def test_fit_returns_a_new_prior_and_ignores_earlier_fits() -> None:
    prior = Mixture()
    fitted = prior.fit(cohort(0.3))
    assert prior == Mixture()
    assert fitted.fit(cohort(0.1)) == prior.fit(cohort(0.1))


def test_a_fitted_prior_is_restored_from_json() -> None:
    fitted = Mixture().fit(cohort(0.3))
    written = json.loads(json.dumps(registry().describe(fitted)))
    assert written.pop("use") == "mixture"
    assert Mixture.model_validate(written) == fitted


def test_batches_contain_no_mask() -> None:
    masks = {"masks", "labels", "y", "targets"}
    assert not masks & {field.name for field in fields(Batch)}


@pytest.mark.parametrize(("tagged", "lacking"), [(True, "lacks"), (False, "has")])
def test_slices_that_all_have_or_all_lack_the_class_are_refused(tagged: bool, lacking: str) -> None:
    batch = slices([1.0, 2.0], [tagged] * 2)
    with pytest.raises(InputError, match=rf"none of the 2 slices {lacking} class 1 of the stage"):
        Mixture().fit([batch])


def test_empty_regions_and_constant_intensities_are_refused() -> None:
    batch = slices([1.0, 1.0], [True, False])
    with pytest.raises(InputError, match="nearly all pixels in the region have the value 1"):
        Mixture().fit([batch])
    with pytest.raises(InputError, match="no slice has pixels in the region"):
        Mixture().fit([Batch(batch.image, torch.zeros_like(batch.region), batch.tags)])
    with pytest.raises(InputError, match="no slice has pixels in the region"):
        Mixture().fit([])


def test_regions_smaller_than_the_number_of_quantiles_are_accepted() -> None:
    assert QUANTILES > 4
    fitted = Mixture().fit([slices([0.0, 1.0, 5.0, 6.0], [True, True, False, False])])
    assert fitted.log_odds[0][0] > 0 > fitted.log_odds[0][-1]


def test_levels_and_log_odds_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValidationError, match="levels needs two or more numbers"):
        Mixture(levels=(0, 1), log_odds=((0, 1, 2),))
    with pytest.raises(ValidationError, match="levels needs two or more numbers"):
        Mixture(levels=(0,), log_odds=((1,),))
