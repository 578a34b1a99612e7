"""Networks with auxiliary outputs, each of which has a loss of its own."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.small_em import EM, assert_resumes_to_the_same_bits, run_steps, trainer_of
from wsseg import testing
from wsseg.core.batch import Logits, Outputs, Probability
from wsseg.core.contracts import ContractError
from wsseg.core.interfaces import Backbone, PixelLoss


class Heads(nn.Module):
    """Main logits, and auxiliary ones that are shifted by 1 and 2."""

    def __init__(self, channels: int, classes: int, height: int | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, classes, 1)
        self.height = height

    def forward(self, image: Tensor) -> Tensor | Outputs:
        logits = self.conv(image)
        auxiliary = (logits + 1, (logits + 2)[:, :, : self.height])
        return Outputs(logits, auxiliary) if self.training else logits


class WithHeads(Backbone):
    """Two auxiliary outputs, which can have another height."""

    height: int | None = None

    def build(self, channels: int, classes: int) -> nn.Module:
        return Heads(channels, classes, self.height)


class AlwaysOutputs(Backbone):
    """Returns auxiliary logits in evaluation mode as well."""

    def build(self, channels: int, classes: int) -> nn.Module:
        class Always(Heads):
            def forward(self, image: Tensor) -> Outputs:
                logits = self.conv(image)
                return Outputs(logits, ())

        return Always(channels, classes, None)


class Mean(PixelLoss):
    """The mean of the logits."""

    def __call__(self, logits: Logits, y: Probability, *_: Any) -> Tensor:  # noqa: ARG002
        return logits.mean()


def first_loss(**change: Any) -> float:
    trainer = trainer_of(backbone=WithHeads(), loss=Mean(), **change)
    event = next(trainer.run())
    assert event.loss is not None  # type: ignore[union-attr]
    return float(event.loss)  # type: ignore[union-attr]


def test_the_losses_of_auxiliary_outputs_are_averaged_and_weighted() -> None:
    main = first_loss(auxiliary_weight=0)
    assert first_loss(auxiliary_weight=0.5) == pytest.approx(main + 0.5 * (main + 1.5), abs=1e-5)
    assert first_loss() == pytest.approx(main + 0.4 * (main + 1.5), abs=1e-5)


def test_a_network_with_auxiliary_outputs_has_the_same_bits_when_resumed(tmp_path: Any) -> None:
    settings = EM | {"backbone": WithHeads(), "belief": "average", "average": {"decay": 0.5}}
    assert_resumes_to_the_same_bits(settings, tmp_path)


def test_an_auxiliary_output_of_another_shape_is_refused_by_the_name_of_the_backbone() -> None:
    with pytest.raises(ContractError, match=r"WithHeads .* as logits"):
        run_steps(trainer_of(backbone=WithHeads(height=3)), 1)


def test_check_backbone_checks_auxiliary_outputs() -> None:
    testing.check_backbone(WithHeads())
    with pytest.raises(AssertionError, match=r"logits of \(50, 70\) pixels have \(3, 70\) pixels"):
        testing.check_backbone(WithHeads(height=3))
    with pytest.raises(AssertionError, match="the result is a Outputs, not a Tensor"):
        testing.check_backbone(AlwaysOutputs())


def test_a_network_predicts_with_its_main_output() -> None:
    net = WithHeads().build(1, 1)
    image = torch.zeros(1, 1, 2, 2)
    assert torch.equal(net.eval()(image), net.train()(image).logits)
