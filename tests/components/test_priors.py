from collections.abc import Iterable
from typing import Any, Self

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from wsseg.components.esteps import HardEM, SoftEM
from wsseg.components.likelihood_losses import CrossEntropy
from wsseg.components.priors import PerClass, TagOdds
from wsseg.components.registry import make, registry
from wsseg.config.stages import AnyStage
from wsseg.core.batch import Batch, Evidence, Probability
from wsseg.core.class_relation import Multiclass, Multilabel
from wsseg.core.interfaces import Prior
from wsseg.errors import InputError
from wsseg.testing import check_prior


class Slope(Prior):
    """phi = sigmoid(steepness * x); fit learns the share of slices that have the class."""

    steepness: float
    share: float | None = None

    def __call__(self, batch: Batch) -> Probability:
        return (self.steepness * batch.middle).sigmoid().expand(batch.support.shape)

    def fit(self, batches: Iterable[Batch]) -> Self:
        tags = torch.cat([batch.tags for batch in batches])
        assert tags.shape[1] == 1, "the batch has tags of other classes"
        return self.model_copy(update={"share": tags.float().mean().item()})


def batch(*tags: list[bool]) -> Batch:
    """Images of three pixels, -1, 0 and 1."""
    image = torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 3).expand(len(tags), -1, -1, -1)
    return Batch(image[:, None], torch.ones_like(image).bool(), torch.tensor(tags))


RISES, FALLS = Slope(steepness=2), Slope(steepness=-2)


def pixels(phi: Tensor) -> list[list[float]]:
    found: list[list[float]] = phi[0, :, 0].tolist()
    return found


def test_phi_of_each_class_comes_from_its_own_prior() -> None:
    both = PerClass(priors=(RISES, FALLS))(batch([True, True]))
    assert pixels(both) == [pixels(each(batch([True])))[0] for each in (RISES, FALLS)]


def test_each_prior_is_fitted_to_the_tags_of_its_class() -> None:
    fitted = PerClass(priors=(RISES, FALLS)).fit(
        iter([batch([True, False]), batch([True, False], [True, True])])
    )
    assert [prior.share for prior in fitted.priors if isinstance(prior, Slope)] == pytest.approx(
        [1, 1 / 3]
    )


@pytest.mark.parametrize("classes", [1, 2])
def test_per_class_keeps_the_contract_of_priors(classes: int) -> None:
    sigmoids = tuple(make(Prior, "hu-sigmoid", width_hu=w) for w in (-220, 220)[:classes])
    check_prior(PerClass(priors=sigmoids), classes)


def test_priors_decide_between_exclusive_classes_with_equal_logits() -> None:
    """The bright pixel gets the first class, the dark one the second."""
    tagged = batch([True, True], [False, True])
    phi = PerClass(priors=(RISES, FALLS))(tagged)
    y = HardEM()(Evidence(tagged, torch.zeros_like(phi), phi, Multiclass()))
    assert y[0, :, 0].tolist() == [[0, 0, 1], [1, 0, 0]]
    assert y[1, :, 0].tolist() == [[0, 0, 0], [1, 0, 0]]  # this image has no tag of the first class


def test_a_number_of_priors_other_than_the_number_of_classes_is_refused() -> None:
    settings = {
        "learn": "nothing",
        "classes": ["a", "b", "c"],
        "prior": {"use": "per-class", "priors": [{"use": "constant"}, {"use": "constant"}]},
    }
    with pytest.raises(ValidationError, match="2 priors for 3 classes; give one prior for each"):
        TypeAdapter[Any](AnyStage).validate_python(settings, context=registry())
    with pytest.raises(InputError, match="'per-class': 2 priors for 1 classes"):
        PerClass(priors=(RISES, FALLS))(batch([True]))


def images(areas: list[int], tags: list[list[bool]]) -> Batch:
    """Images whose regions are the first pixels of a row of 10."""
    region = (torch.arange(10) < torch.tensor(areas)[:, None])[:, None, None]
    return Batch(torch.zeros(len(areas), 1, 1, 1, 10), region, torch.tensor(tags))


def odds_of_tag(share: float, batch: Batch) -> list[float]:
    """Return phi of each class, which is the same for all pixels."""
    phi = TagOdds(share=share)(batch)
    assert (phi == phi[:1, :, :1, :1]).all()
    found: list[float] = phi[0, :, 0, 0].tolist()
    return found


def test_odds_of_the_tag_equal_hand_computed_values() -> None:
    both = images([6, 4, 5, 0], [[True], [True], [False], [True]])  # a1 = 10, a0 = 5
    assert odds_of_tag(0.5, both) == pytest.approx([2 / 3])  # rho = 5 / (5 + 5)
    assert odds_of_tag(0, both) == pytest.approx([3 / 5])  # rho = 10 / 15


def test_each_class_has_the_odds_of_its_own_tags() -> None:
    two = images([6, 4], [[True, False], [True, True]])
    # the first class has no untagged region, the second has a1 = 4, a0 = 6, rho = 2 / (2 + 6)
    assert odds_of_tag(0.5, two) == pytest.approx([1 / 2, 4 / 5])


@pytest.mark.parametrize("areas", [[3, 0], [0, 0]])
def test_a_tag_without_untagged_region_is_no_evidence(areas: list[int]) -> None:
    assert odds_of_tag(0.3, images(areas, [[True], [False]])) == [0.5]


@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans(), st.booleans()), min_size=1, max_size=6),
    st.floats(0, 0.99),
)
def test_odds_of_the_tag_equal_a_loop_over_pixels(
    rows: list[tuple[int, bool, bool]], share: float
) -> None:
    batch = images([area for area, *_ in rows], [tags for _, *tags in rows])
    for k, phi in enumerate(odds_of_tag(share, batch)):
        absent = {True: 0.0, False: 0.0}  # expected pixels without the class, by tag
        for i in range(len(rows)):
            for j in range(10):
                if batch.region[i, 0, 0, j]:
                    tag = bool(batch.tags[i, k])
                    absent[tag] += 1 - share if tag else 1
        rho = absent[True] / (absent[True] + absent[False]) if absent[False] else 1
        assert phi == pytest.approx(1 / (1 + rho))


@pytest.mark.parametrize("classes", [1, 3])
def test_odds_of_the_tag_keep_the_contract_of_priors(classes: int) -> None:
    check_prior(make(Prior, "tag-odds", share=0.3), classes)


@pytest.mark.parametrize("share", [-0.1, 1])
def test_odds_of_the_tag_need_a_share_from_0_to_below_1(share: float) -> None:
    with pytest.raises(ValidationError, match="share"):
        TagOdds(share=share)


# Pixels of three kinds in a tagged image (100 pixels) and an untagged one (35). The network knows
# only the kind of a pixel. 30 tagged pixels have the class: the lesion, and 20 of the mixed ones.
KINDS = {"lesion": (10, 0), "mixed": (40, 10), "normal": (50, 25)}
TRUE_SHARE, TRUE_F = 0.3, [1, 20 / 50, 0]


@pytest.fixture(name="toy")
def toy_batch() -> tuple[Batch, Tensor]:
    """Return the two images, and the kind of each pixel, (2, 1, 1, W)."""
    rows = [
        torch.arange(len(KINDS)).repeat_interleave(torch.tensor([n[i] for n in KINDS.values()]))
        for i in (0, 1)
    ]
    kinds = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)[:, None, None]
    return Batch(kinds.float(), kinds >= 0, torch.tensor([[True], [False]])), kinds.clamp(min=0)


def fixed_points(share: float) -> list[float]:
    """Return f of each kind: (r - rho) / (1 - rho), or 0; r is its proportion in tagged images."""
    rho = 100 * (1 - share) / (100 * (1 - share) + 35)
    proportions = [tagged / (tagged + untagged) for tagged, untagged in KINDS.values()]
    return [max(0, (r - rho) / (1 - rho)) for r in proportions]


def soft_targets(toy: tuple[Batch, Tensor], logits: Tensor, share: float) -> Tensor:
    """Return the targets of soft EM with the odds of the tag; `logits` are those of the kinds."""
    batch, kinds = toy
    phi = TagOdds(share=share)(batch)
    return SoftEM()(Evidence(batch, logits[kinds], phi))


def test_with_the_true_share_the_fixed_point_of_soft_em_is_the_truth() -> None:
    assert fixed_points(TRUE_SHARE) == pytest.approx(TRUE_F)


@pytest.mark.parametrize("share", [TRUE_SHARE, 0.0, 0.6])
def test_soft_em_with_an_exact_m_step_ends_at_the_fixed_point(
    toy: tuple[Batch, Tensor], share: float
) -> None:
    batch, kinds = toy
    f = torch.full((len(KINDS),), 0.5)
    for _ in range(500):
        y = soft_targets(toy, f.logit(), share)
        f = torch.stack([y[(kinds == k) & batch.region].mean() for k in range(len(KINDS))])
    assert f.tolist() == pytest.approx(fixed_points(share), abs=0.005)


@pytest.mark.parametrize("share", [TRUE_SHARE, 0.0, 0.6])
def test_soft_em_with_gradient_descent_on_cross_entropy_ends_at_the_fixed_point(
    toy: tuple[Batch, Tensor], share: float
) -> None:
    batch, kinds = toy
    logits = torch.zeros(len(KINDS), requires_grad=True)
    descent = torch.optim.SGD([logits], lr=20)
    for _ in range(500):
        y = soft_targets(toy, logits.detach(), share)
        descent.zero_grad()
        CrossEntropy()(logits[kinds], y, batch, Multilabel()).backward()
        descent.step()
    assert logits.sigmoid().tolist() == pytest.approx(fixed_points(share), abs=0.02)
