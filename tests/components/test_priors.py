from collections.abc import Iterable
from typing import Any, Self

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from wsseg.components.esteps import HardEM
from wsseg.components.priors import PerClass
from wsseg.components.registry import make, registry
from wsseg.config.stages import AnyStage
from wsseg.core.batch import Batch, Evidence, Probability
from wsseg.core.class_relation import Multiclass
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
    return Batch(image, torch.ones_like(image).bool(), torch.tensor(tags))


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


def test_a_number_of_priors_other_than_of_classes_is_refused() -> None:
    settings = {
        "learn": "nothing",
        "classes": ["a", "b", "c"],
        "prior": {"use": "per-class", "priors": [{"use": "constant"}, {"use": "constant"}]},
    }
    with pytest.raises(ValidationError, match="2 priors for 3 classes; give one prior for each"):
        TypeAdapter[Any](AnyStage).validate_python(settings, context=registry())
    with pytest.raises(InputError, match="'per-class': 2 priors for 1 classes"):
        PerClass(priors=(RISES, FALLS))(batch([True]))
