"""What the E-step believes: the network as it learns, or as it is evaluated."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import wsseg
from wsseg.components.esteps import SoftEM
from wsseg.components.pixel_losses import BatchDice
from wsseg.config.stages import EmStage, Optimizer
from wsseg.core.batch import Batch
from wsseg.core.input import Input
from wsseg.data.batches import Scan
from wsseg.inference.network import Network
from wsseg.training.em import forward, targets
from wsseg.training.trainer import Trainer

INPUT = Input(slices=1, size=8)


def stage(belief: str) -> EmStage:
    return EmStage(
        learn="em",
        classes=["lesion"],
        start="before",
        prior=wsseg.make(wsseg.Prior, "hu-sigmoid", midpoint_hu=0, width_hu=2),
        estep=SoftEM(),
        belief=belief,
        loss=BatchDice(),
        epochs=2,
        batch_size=2,
        optimizer=Optimizer(use="sgd", lr=0.5),
    )


def batch(*values: float) -> Batch:
    """Images of one value each, everywhere region, all tagged."""
    image = torch.tensor(values)[:, None, None, None].expand(-1, 1, 8, 8)
    number = len(values)
    return Batch(image, torch.ones(number, 1, 8, 8).bool(), torch.ones(number, 1).bool())


def network(norm: nn.Module) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(
            nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), norm, nn.Conv2d(3, 1, 1)), INPUT
        )


class FrozenNorm(nn.BatchNorm2d):
    """Normalises by its running statistics, also while it learns."""

    def train(self, mode: bool = True) -> "FrozenNorm":  # noqa: ARG002
        return super().train(False)


def fitted(belief: str, norm: nn.Module) -> dict[str, Tensor]:
    noise = np.random.default_rng(0)
    scans: Sequence[Scan] = [
        Scan(
            name=f"case-{number}",
            image=noise.normal(size=(3, 8, 8)).astype(np.float32),
            inside=None,
            region=None,
            tags=np.full((3, 1), number > 0),
            slices=(0, 1, 2),
        )
        for number in range(2)
    ]
    fit = Trainer(
        "em", stage(belief), network(norm), scans, INPUT, 0, Fabric(accelerator="cpu", devices=1)
    )
    list(fit.run())
    return fit.weights


def test_the_m_steps_own_pass_is_what_an_em_stage_believes_by_default() -> None:
    assert EmStage.model_fields["belief"].default == "training"
    learnt, believed = forward(stage("training"), network(nn.BatchNorm2d(3)), batch(0.0, 2.0))
    assert torch.equal(learnt, believed)
    assert learnt.requires_grad
    assert not believed.requires_grad


def test_belief_from_evaluation_depends_on_no_batch_mate() -> None:
    net, evaluation = network(nn.BatchNorm2d(3)), stage("evaluation")
    net.body.get_submodule("1").get_buffer("running_mean").fill_(0.5)
    for mate in (2.0, 50.0):  # the first step of a fresh copy each, since a step moves statistics
        fresh = network(nn.BatchNorm2d(3))
        fresh.load_state_dict(net.state_dict())
        _, believed = forward(evaluation, fresh, batch(1.0, mate))
        alone = network(nn.BatchNorm2d(3))
        alone.load_state_dict(net.state_dict())
        with torch.no_grad():
            expected = alone.eval()(batch(1.0).image)
        torch.testing.assert_close(believed[:1], expected)


def test_the_targets_are_bayes_rule_on_what_is_believed() -> None:
    """A network that believes nothing leaves phi; log-odds of 2 are added to those of phi."""
    seen = batch(1.0)
    y = targets(stage("training"), seen, None, torch.zeros(1, 1, 8, 8), 0.5)
    phi = stage("training").prior(seen)
    torch.testing.assert_close(y, phi)
    y = targets(stage("training"), seen, None, torch.full((1, 1, 8, 8), 2.0), 0.5)
    torch.testing.assert_close(y, torch.sigmoid(2 + phi.logit()))


@pytest.mark.parametrize("norm", [nn.Identity, lambda: FrozenNorm(3)])
def test_without_a_batchs_statistics_both_beliefs_train_the_same_weights(norm: type) -> None:
    training, evaluation = fitted("training", norm()), fitted("evaluation", norm())
    for name, weight in training.items():
        torch.testing.assert_close(weight, evaluation[name])


def test_with_a_batchs_statistics_they_do_not() -> None:
    training = fitted("training", nn.BatchNorm2d(3))
    evaluation = fitted("evaluation", nn.BatchNorm2d(3))
    assert not torch.equal(training["body.0.weight"], evaluation["body.0.weight"])


class OneNumber(wsseg.Prior):
    """Would be added to any logits, and mean every pixel of every image."""

    def __call__(self, batch: Batch) -> Tensor:
        return batch.image.new_full((1, 1, 1, 1), 0.9)


class FirstImage(wsseg.EStep):
    """Says for one image what it was asked for all."""

    def __call__(self, evidence: wsseg.Evidence) -> Tensor:
        return evidence.phi[:1]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"prior": OneNumber()}, r"OneNumber returns \(1, 1, 1, 1\), not .* = \(2, 1, 8, 8\)"),
        ({"estep": FirstImage()}, r"FirstImage returns \(1, 1, 8, 8\), not .* = \(2, 1, 8, 8\)"),
    ],
)
def test_a_part_that_returns_another_shape_is_named(change: dict[str, object], wanted: str) -> None:
    known = batch(1, 2)
    with pytest.raises(wsseg.WorkError, match=wanted):
        targets(stage("training").model_copy(update=change), known, None, known.image, 1)
