"""The three parts of an EM iteration: forward pass, E-step and M-step."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import wsseg
from wsseg.components.esteps import HardEM, SoftEM
from wsseg.components.overlap_losses import BatchDice
from wsseg.config.stages import Average, EmStage
from wsseg.core.batch import Batch, StepContext
from wsseg.core.input import Input
from wsseg.data.batches import StageScan
from wsseg.inference.network import Network
from wsseg.training.em import Networks, e_step, forward
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Trainer

INPUT = Input(slices=1, size=8)


class IntensityAsPhi(wsseg.Prior):
    """phi is the intensity itself."""

    def __call__(self, batch: Batch) -> Tensor:
        return batch.middle.expand(batch.support.shape)


def stage(belief: str = "training", average: Average | None = None) -> EmStage:
    return EmStage(
        learn="em",
        classes=["lesion"],
        start="before",
        prior=IntensityAsPhi(),
        estep=SoftEM(),
        belief=belief,
        average=average,
        loss=BatchDice(),
        epochs=2,
        batch_size=2,
        optimizer=wsseg.make(wsseg.Optimizer, "sgd", lr=0.5),
    )


def batch(*values: float, tags: Sequence[bool] | None = None) -> Batch:
    """Images of one value each, with region everywhere, tagged unless `tags` differ."""
    number = len(values)
    image = torch.tensor(values)[:, None, None, None].expand(-1, 1, 8, 8)
    tagged = torch.tensor([True] * number if tags is None else tags)[:, None]
    return Batch(image[:, None], torch.ones(number, 1, 8, 8).bool(), tagged)


def network(norm: nn.Module) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), norm, nn.Conv2d(3, 1, 1))
        return Network(body, INPUT, wsseg.make(wsseg.Backbone, "additive-unet"), classes=1)


class FrozenNorm(nn.BatchNorm2d):
    """Normalises by its running statistics also during training."""

    def train(self, mode: bool = True) -> "FrozenNorm":  # noqa: ARG002
        return super().train(False)


def trained_weights(
    belief: str, norm: nn.Module, average: Average | None = None
) -> dict[str, Tensor]:
    noise = np.random.default_rng(0)
    scans = tuple(
        StageScan(
            name=f"case-{number}",
            image=noise.uniform(0.1, 0.9, size=(1, 3, 8, 8)).astype(np.float32),
            inside=None,
            region=None,
            tags=np.full((3, 1), number > 0),
            slices=(0, 1, 2),
        )
        for number in range(2)
    )
    fabric = Fabric(accelerator="cpu", devices=1)
    task = StageTask("em", stage(belief, average), INPUT, 0, scans, fabric, fingerprint="key")
    trainer = Trainer(task, network(norm))
    list(trainer.run())
    return trainer.weights


def test_by_default_both_steps_use_the_logits_of_one_forward_pass() -> None:
    passes = 0

    class Counting(nn.Identity):
        def forward(self, x: Tensor) -> Tensor:
            nonlocal passes
            passes += 1
            return x

    default = stage().model_copy(update={"belief": EmStage.model_fields["belief"].default})
    logits = forward(default, Networks(network(Counting())), batch(0.0, 2.0))
    assert passes == 1
    assert torch.equal(logits.m_step, logits.e_step)
    assert logits.m_step.requires_grad
    assert not logits.e_step.requires_grad


def test_e_step_logits_in_evaluation_mode_do_not_depend_on_the_rest_of_the_batch() -> None:
    net, evaluation = network(nn.BatchNorm2d(3)), stage("evaluation")
    net.body.get_submodule("1").get_buffer("running_mean").fill_(0.5)
    for other in (2.0, 50.0):  # each with a fresh copy, since a step changes running statistics
        fresh = network(nn.BatchNorm2d(3))
        fresh.load_state_dict(net.state_dict())
        logits = forward(evaluation, Networks(fresh), batch(1.0, other))
        alone = network(nn.BatchNorm2d(3))
        alone.load_state_dict(net.state_dict())
        with torch.no_grad():
            expected = alone.eval()(batch(1.0).image)
        torch.testing.assert_close(logits.e_step[:1], expected)
        assert not torch.allclose(logits.m_step[:1], expected)


def test_e_step_logits_of_the_average_are_those_of_the_averaged_network_in_evaluation_mode() -> (
    None
):
    trained, averaged = network(nn.BatchNorm2d(3)), network(nn.BatchNorm2d(3)).eval()
    with torch.no_grad():
        averaged.body.get_submodule("0").get_parameter("bias").fill_(0.7)
        expected = averaged(batch(1.0, 2.0).image)
    asks_average = stage("average", Average())
    logits = forward(asks_average, Networks(trained, averaged), batch(1.0, 2.0))
    assert torch.equal(logits.e_step, expected)
    assert torch.equal(logits.m_step, trained(batch(1.0, 2.0).image))


def test_an_average_without_decay_is_the_network_itself() -> None:
    """With decay 0 the average equals the newest weights, so both kinds of belief agree."""
    averaged = trained_weights("average", nn.BatchNorm2d(3), Average(decay=0))
    evaluated = trained_weights("evaluation", nn.BatchNorm2d(3))
    for name, weight in evaluated.items():
        torch.testing.assert_close(averaged[name], weight, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("f", "phi", "posterior"),
    [
        (0.5, 0.8, 0.8),  # a network without opinion leaves phi
        (0.8, 0.5, 0.8),  # a prior without opinion leaves f
        (0.8, 0.8, 16 / 17),  # 0.64 / (0.64 + 0.04)
        (0.2, 0.6, 3 / 11),  # 0.12 / (0.12 + 0.32)
    ],
)
def test_the_soft_e_step_is_bayes_rule(f: float, phi: float, posterior: float) -> None:
    logits = torch.full((1, 1, 8, 8), f).logit()
    y = e_step(stage(), batch(phi), logits, StepContext())
    torch.testing.assert_close(y, torch.full_like(y, posterior))


@pytest.mark.parametrize("f", [0.1, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("phi", [0.2, 0.5, 0.8])
def test_the_hard_e_step_is_equation_10(f: float, phi: float) -> None:
    hard = stage().model_copy(update={"estep": HardEM()})
    y = e_step(hard, batch(phi), torch.full((1, 1, 8, 8), f).logit(), StepContext())
    assert y.unique().tolist() == [float(f + phi > 1)]


def test_an_image_without_the_tag_has_no_targets() -> None:
    y = e_step(stage(), batch(0.9, 0.9, tags=[True, False]), torch.zeros(2, 1, 8, 8), StepContext())
    torch.testing.assert_close(y[0], torch.full((1, 8, 8), 0.9))
    assert not y[1].any()


@pytest.mark.parametrize("norm", [nn.Identity, lambda: FrozenNorm(3)])
def test_without_batch_statistics_both_kinds_of_belief_train_the_same_weights(norm: type) -> None:
    training = trained_weights("training", norm())
    evaluation = trained_weights("evaluation", norm())
    for name, weight in training.items():
        torch.testing.assert_close(weight, evaluation[name])


def test_with_batch_statistics_the_two_kinds_of_belief_train_different_weights() -> None:
    training = trained_weights("training", nn.BatchNorm2d(3))
    evaluation = trained_weights("evaluation", nn.BatchNorm2d(3))
    assert not torch.equal(training["body.0.weight"], evaluation["body.0.weight"])


class OneNumber(wsseg.Prior):
    """Returns a single number, which broadcasting would apply to every pixel of every image."""

    def __call__(self, batch: Batch) -> Tensor:
        return batch.image.new_full((1, 1, 1, 1), 0.9)


class FirstImage(wsseg.EStep):
    """Returns targets for the first image only."""

    def __call__(self, evidence: wsseg.Evidence) -> Tensor:
        return evidence.phi[:1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": OneNumber()}, r"OneNumber .* \(1, 1, 1, 1\) as phi; .* = \(2, 1, 8, 8\)"),
        ({"estep": FirstImage()}, r"FirstImage .* \(1, 1, 8, 8\) as targets; .* = \(2, 1, 8, 8\)"),
    ],
)
def test_a_prior_or_e_step_that_returns_a_wrong_shape_is_named(
    change: dict[str, object], message: str
) -> None:
    two = batch(0.5, 0.6)
    with pytest.raises(wsseg.WorkError, match=message):
        e_step(stage().model_copy(update=change), two, two.image, StepContext())
