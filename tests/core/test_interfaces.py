"""What anyone who writes a part relies on, with the parts of somebody who just did."""

from typing import final

import pytest
import torch
from pydantic import PositiveFloat, ValidationError
from torch import Tensor, nn
from torch.distributions import Normal

from wsseg import Backbone, Batch, EStep, Evidence, Logits, PixelLoss, Prior, Probability
from wsseg.components.esteps import HardEM, SoftEM
from wsseg.core.component import Component
from wsseg.testing import check_backbone, check_estep, check_loss, check_prior


@final
class TwoGaussian(Prior):
    """phi = N(x; lesion) / (N(x; lesion) + N(x; tissue)), for x in HU."""

    tissue_hu: float = -800
    lesion_hu: float = -100
    sd_hu: PositiveFloat = 150

    def __call__(self, batch: Batch) -> Probability:
        lesion = Normal(self.lesion_hu, self.sd_hu).log_prob(batch.middle.float())
        tissue = Normal(self.tissue_hu, self.sd_hu).log_prob(batch.middle.float())
        log_odds: Logits = lesion - tissue
        return log_odds.sigmoid().expand_as(batch.support)


@final
class Doubtful(EStep):
    """Half of what another E-step says."""

    inner: EStep

    def __call__(self, evidence: Evidence) -> Probability:
        return self.inner(evidence) / 2


@final
class Pixelwise(Backbone):
    """A 1x1 convolution."""

    def build(self, slices: int, classes: int) -> nn.Module:
        return nn.Conv2d(slices, classes, kernel_size=1)


@final
class MeanSquare(PixelLoss):
    """mean((f - y)^2) over the region."""

    def __call__(self, f: Probability, y: Probability, region: Tensor) -> Tensor:
        square = ((f.float() - y.float()) ** 2).where(region, 0)
        return square.sum() / region.expand_as(f).sum().clamp(min=1)


def test_a_prior_is_a_class_with_one_method() -> None:
    check_prior(TwoGaussian())
    check_prior(TwoGaussian(), classes=2)


def test_an_estep_is_a_class_with_one_method_and_may_hold_another() -> None:
    check_estep(Doubtful(inner=SoftEM()))
    check_estep(Doubtful(inner=HardEM()), classes=1)


def test_a_backbone_is_a_class_with_one_method() -> None:
    check_backbone(Pixelwise())


def test_a_loss_is_a_class_with_one_method() -> None:
    check_loss(MeanSquare())


@pytest.mark.parametrize("kind", [Prior, EStep, Backbone, PixelLoss])
def test_an_interface_itself_cannot_be_built(kind: type[Component]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind()


def test_a_prior_that_learns_nothing_is_its_own_fit() -> None:
    prior = TwoGaussian()
    assert prior.fit(iter([])) is prior


def test_a_part_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TwoGaussian().tissue_hu = 0  # type: ignore[misc]


def test_equal_parts_are_equal_values() -> None:
    assert TwoGaussian(sd_hu=100) == TwoGaussian(sd_hu=100) != TwoGaussian()
    assert len({TwoGaussian(sd_hu=100), TwoGaussian(sd_hu=100)}) == 1


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="lesion_hu"):
        TwoGaussian(lesion=3)  # type: ignore[call-arg]


def test_two_gaussians_of_equal_spread_are_a_sigmoid() -> None:
    hu = torch.tensor([-800.0, -450.0, -100.0]).reshape(1, 1, 1, 3)
    batch = Batch(hu, torch.ones_like(hu).bool(), torch.tensor([[True]]))
    slope = 700 / 150**2  # (lesion - tissue) / variance
    expected = (slope * (hu + 450)).sigmoid()
    torch.testing.assert_close(TwoGaussian()(batch), expected)
