import pytest
import torch
from pydantic import ValidationError

import wsseg
from wsseg.components.likelihood_losses import CrossEntropy
from wsseg.components.overlap_losses import SmoothDice
from wsseg.components.registry import registry
from wsseg.components.weighted_sum import WeightedSum
from wsseg.core.batch import Batch
from wsseg.core.class_relation import Multilabel
from wsseg.core.interfaces import PixelLoss
from wsseg.testing import check_loss

PARTS = [{"use": "cross-entropy"}, {"use": "smooth-dice", "smooth": 2}]


def test_a_weighted_sum_keeps_the_contract_of_pixel_losses() -> None:
    check_loss(WeightedSum(losses=(CrossEntropy(), SmoothDice()), weights=(1, 0.5)))


def test_losses_are_multiplied_by_their_weights_and_added() -> None:
    logits, y = torch.randn(2, 1, 4, 4), (torch.rand(2, 1, 4, 4) > 0.5).float()
    batch = Batch(torch.zeros(2, 1, 1, 4, 4), y >= 0, torch.ones(2, 1, dtype=torch.bool))
    loss = wsseg.make(PixelLoss, "weighted-sum", losses=PARTS, weights=[0.25, 3])
    first = CrossEntropy()(logits, y, batch, Multilabel())
    second = SmoothDice(smooth=2)(logits, y, batch, Multilabel())
    torch.testing.assert_close(loss(logits, y, batch, Multilabel()), 0.25 * first + 3 * second)


def test_a_weighted_sum_is_saved_with_its_losses() -> None:
    loss = wsseg.make(PixelLoss, "weighted-sum", losses=PARTS, weights=[0.25, 3])
    saved = registry().describe(loss)
    assert [each["use"] for each in saved["losses"]] == ["cross-entropy", "smooth-dice"]
    assert wsseg.make(PixelLoss, **saved) == loss


def test_a_missing_weight_is_refused() -> None:
    with pytest.raises(
        ValidationError, match="1 weights for 2 losses; give one weight for each loss"
    ):
        wsseg.make(PixelLoss, "weighted-sum", losses=PARTS, weights=[1])
