"""Tests of the interfaces with small components, as a plugin author would write them."""

from typing import final

import pytest
import torch
from pydantic import PositiveFloat, ValidationError
from torch import Tensor, nn
from torch.distributions import Normal

from wsseg import (
    Backbone,
    Batch,
    ClassRelation,
    EStep,
    Evidence,
    Logits,
    PixelLoss,
    Prior,
    Probability,
)
from wsseg.components.esteps import HardEM, SoftEM
from wsseg.core.component import Component
from wsseg.testing import check_backbone, check_estep, check_loss, check_prior


@final
class TwoGaussian(Prior):
    """phi = N(x; lesion) / (N(x; lesion) + N(x; tissue)) for an image x."""

    tissue_mean: float = -800
    lesion_mean: float = -100
    sd: PositiveFloat = 150

    def __call__(self, batch: Batch) -> Probability:
        lesion = Normal(self.lesion_mean, self.sd).log_prob(batch.channel().float())
        tissue = Normal(self.tissue_mean, self.sd).log_prob(batch.channel().float())
        log_odds: Logits = lesion - tissue
        return log_odds.sigmoid().expand_as(batch.support)


@final
class Halved(EStep):
    """Half of the targets of another E-step."""

    inner: EStep

    def __call__(self, evidence: Evidence) -> Probability:
        return self.inner(evidence) / 2


@final
class Pixelwise(Backbone):
    """A 1x1 convolution."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Conv2d(channels, classes, kernel_size=1)


@final
class MeanSquare(PixelLoss):
    """mean((f - y)^2) over the region."""

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        f = relation.probability(logits.float())
        square = ((f - y.float()) ** 2).where(batch.region, 0)
        return square.sum() / batch.region.expand_as(f).sum().clamp(min=1)


def test_a_prior_needs_only_one_method() -> None:
    check_prior(TwoGaussian())
    check_prior(TwoGaussian(), classes=2)


def test_an_estep_needs_only_one_method_and_may_contain_another_estep() -> None:
    check_estep(Halved(inner=SoftEM()))
    check_estep(Halved(inner=HardEM()), classes=1)


def test_a_backbone_needs_only_one_method() -> None:
    check_backbone(Pixelwise())


def test_a_pixel_loss_needs_only_one_method() -> None:
    check_loss(MeanSquare())


@pytest.mark.parametrize("kind", [Prior, EStep, Backbone, PixelLoss])
def test_an_interface_cannot_be_instantiated(kind: type[Component]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind()


def test_fit_of_a_prior_without_learning_returns_the_prior_itself() -> None:
    prior = TwoGaussian()
    assert prior.fit(iter([])) is prior


def test_a_component_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TwoGaussian().tissue_mean = 0  # type: ignore[misc]


def test_components_with_equal_fields_are_equal_and_hash_equally() -> None:
    assert TwoGaussian(sd=100) == TwoGaussian(sd=100) != TwoGaussian()
    assert len({TwoGaussian(sd=100), TwoGaussian(sd=100)}) == 1


def test_an_unknown_field_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(ValidationError, match="lesion_mean"):
        TwoGaussian(lesion=3)  # type: ignore[call-arg]


def test_two_gaussians_of_equal_deviation_give_a_sigmoid() -> None:
    image = torch.tensor([-800.0, -450.0, -100.0]).reshape(1, 1, 1, 3)
    batch = Batch(image[:, None], torch.ones_like(image).bool(), torch.tensor([[True]]))
    slope = 700 / 150**2  # (lesion - tissue) / variance
    expected = (slope * (image + 450)).sigmoid()
    torch.testing.assert_close(TwoGaussian()(batch), expected)
