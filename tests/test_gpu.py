"""Results on a GPU are those on the CPU, for all installed parts, training and prediction.

Run these tests alone with `pytest -m gpu`; without an NVIDIA GPU they are skipped.
"""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.agreement import Agreement
from benchmarks.gpu.correct import Correct
from benchmarks.gpu.device import float32_fabric, tf32
from benchmarks.speed import paper
from wsseg.components.registry import Offer, registry
from wsseg.core.interfaces import Backbone, EStep, PixelLoss, Prior, TagLoss
from wsseg.testing.conformance import check_part
from wsseg.training.events import StepDone
from wsseg.training.trainer import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]
GPU = torch.device("cuda:0")
SMALL = paper.Sizes(slices=3, pixels=64, width=8, batch=4)
TENSOR_PARTS = (Prior, EStep, Backbone, PixelLoss, TagLoss)


def offers() -> list[Offer]:
    return [each for each in registry().offers.values() if each.kind in TENSOR_PARTS]


def losses(trainer: Trainer, number: int) -> list[float]:
    done = (event for event in trainer.run() if isinstance(event, StepDone))
    return [event.loss for event in islice(done, number)]


@pytest.mark.parametrize("offer", offers(), ids=lambda each: f"{each.kind.__name__} {each.name}")
def test_an_installed_part_keeps_its_contract_on_the_gpu(offer: Offer) -> None:
    """The conformance tests compare every accelerator of the machine with the CPU."""
    with tf32(allowed=False):
        result = check_part(offer, registry())
    if result.error is not None:
        raise result.error


def test_logits_training_esteps_and_losses_agree_with_the_cpu() -> None:
    rows = list(Correct(replace(SMALL, batch=2), SMALL).measure())
    assert {each.name: each.value for each in rows if each.value > (each.most or 0)} == {}


def test_predicted_masks_agree_with_the_cpu_and_between_precisions() -> None:
    share, *dices = Agreement().measure()
    assert 0 < share.value < 100
    assert {each.name: each.value for each in dices if each.value < (each.least or 1)} == {}


@pytest.mark.parametrize("learn", ["masks", "em"])
def test_training_that_is_resumed_on_the_gpu_has_the_losses_of_an_uninterrupted_one(
    learn: str, tmp_path: Path
) -> None:
    """The optimizer's state must be restored in the device and the memory format of its weights."""
    paper.write_scans(tmp_path, SMALL, batches=8)
    fabric = float32_fabric(GPU)
    with tf32(allowed=False):
        uninterrupted = losses(paper.new_trainer(learn, SMALL, tmp_path, fabric), 6)
        first = paper.new_trainer(learn, SMALL, tmp_path, fabric)
        losses(first, 3)
        second = paper.new_trainer(learn, SMALL, tmp_path, fabric)
        second.restore(*first.state())
        assert losses(second, 3) == pytest.approx(uninterrupted[3:], rel=1e-3)
