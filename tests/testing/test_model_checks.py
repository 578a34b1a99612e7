"""Tests of the checks of priors, E-steps, backbones and losses: they detect broken contracts."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Annotated, Any, Self

import pytest
import torch
from pydantic import AfterValidator, Field, PrivateAttr
from torch import Tensor, nn

from wsseg import testing
from wsseg.components.esteps import HardEM, Scheduled, SoftEM
from wsseg.components.overlap_losses import SmoothDice
from wsseg.components.tag_losses import MeanLogits
from wsseg.core.batch import Batch, Evidence
from wsseg.core.class_relation import ClassRelation, Multilabel
from wsseg.core.component import Component
from wsseg.core.interfaces import Backbone, EncoderWeights, EStep, PixelLoss, Prior, TagLoss
from wsseg.core.optimizer import Optimizer

CALLS = count()  # for components whose result changes


def half(batch: Batch) -> Tensor:
    return torch.full(batch.support.shape, 0.5)


def overwritten(batch: Batch) -> Tensor:
    batch.image.zero_()
    return half(batch)


def fails(check: Callable[[Any], None], part: Component, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check(part)


PRIORS: list[tuple[Callable[[Batch], Tensor], str]] = [
    (lambda batch: half(batch)[:, :1, :3], r"not \(B, K, H, W\)"),
    (lambda batch: half(batch) + 1, "maximum of 1.5, above 1"),
    (lambda batch: half(batch) - 1, "minimum of -0.5, below 0"),
    (lambda batch: half(batch) * torch.nan, "not finite"),
    (lambda batch: half(batch) > 0, "not floating-point"),
    (lambda batch: torch.rand(batch.support.shape), "changes from call to call"),
    (overwritten, "changes its input"),
    (
        lambda batch: half(batch) * (batch.image.float().mean() / 100).sigmoid(),
        "other images of its batch",
    ),
    (lambda batch: half(batch).requires_grad_(), "requires a gradient"),
]


@pytest.mark.parametrize(("phi", "words"), PRIORS)
def test_check_prior_detects_a_broken_prior(phi: Callable[[Batch], Tensor], words: str) -> None:
    class Broken(Prior):
        def __call__(self, batch: Batch) -> Tensor:
            return phi(batch)

    fails(testing.check_prior, Broken(), words)


def test_check_prior_detects_a_fit_that_is_not_repeatable() -> None:
    class Unrepeatable(Prior):
        level: float = 0.5

        def __call__(self, batch: Batch) -> Tensor:
            return half(batch)

        def fit(self, batches: object) -> "Unrepeatable":  # noqa: ARG002
            return Unrepeatable(level=next(CALLS))

    fails(testing.check_prior, Unrepeatable(), "two fits to the same slices differ")


def test_check_prior_detects_a_fit_that_breaks_the_prior() -> None:
    class BrokenByFit(Prior):
        level: float = 0.5

        def __call__(self, batch: Batch) -> Tensor:
            return torch.full(batch.support.shape, self.level)

        def fit(self, batches: object) -> "BrokenByFit":  # noqa: ARG002
            return BrokenByFit(level=7)

    fails(testing.check_prior, BrokenByFit(), "above 1")


def test_check_prior_detects_a_prior_that_no_recipe_can_store() -> None:
    class Unstorable(Prior):
        threshold: Annotated[float, AfterValidator(lambda x: x + 1)] = 0.5

        def __call__(self, batch: Batch) -> Tensor:
            return half(batch)

    fails(testing.check_prior, Unstorable(), "saved as YAML, .* is read as")


ESTEPS: list[tuple[Callable[[Evidence], Tensor], str]] = [
    (lambda evidence: evidence.phi.detach() * 0 + 1, "not 0 outside the support"),
    (lambda evidence: SoftEM()(evidence)[:, :, 1:], r"not \(B, K, H, W\)"),
    (lambda evidence: SoftEM()(evidence) * 2, "above 1"),
    (lambda evidence: HardEM()(evidence).bool(), "not floating-point"),
    (lambda evidence: evidence.batch.support.to(evidence.phi.dtype), "add up to over 1"),
    (lambda evidence: torch.nan_to_num(evidence.log_odds - torch.inf, nan=3.0), "below 0"),
    (lambda evidence: SoftEM()(evidence) * SoftEM()(evidence).mean(), "other images of its batch"),
]


@pytest.mark.parametrize(("guess", "words"), ESTEPS)
def test_check_estep_detects_a_broken_estep(
    guess: Callable[[Evidence], Tensor], words: str
) -> None:
    class Broken(EStep):
        def __call__(self, evidence: Evidence) -> Tensor:
            return guess(evidence)

    fails(testing.check_estep, Broken(), words)


def test_check_estep_detects_a_result_with_a_gradient() -> None:
    class WithGradient(EStep):
        def __call__(self, evidence: Evidence) -> Tensor:
            with torch.enable_grad():
                return SoftEM()(evidence)

    fails(testing.check_estep, WithGradient(), "requires a gradient")


def test_check_estep_detects_an_inner_estep_that_no_plugin_offers() -> None:
    class NotOffered(EStep):
        def __call__(self, evidence: Evidence) -> Tensor:
            return HardEM()(evidence)

    part = Scheduled(first=NotOffered(), then=HardEM(), at=0.5)
    fails(testing.check_estep, part, "cannot be saved as YAML")


class BatchDependent(nn.Module):
    """A network whose logits depend on the other images of the batch."""

    def __init__(self, slices: int, classes: int) -> None:
        super().__init__()
        self.net = nn.Conv2d(slices, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x)
        return y - y.mean()


SHARED = nn.ModuleDict({f"{s}-{k}": nn.Conv2d(s, k, 1) for s, k in ((1, 1), (3, 1), (5, 2))})
SEEDED = torch.Generator().manual_seed(0)


def unseeded(slices: int, classes: int) -> nn.Module:
    net = nn.Conv2d(slices, classes, 1)
    nn.init.normal_(net.weight, generator=SEEDED)
    return net


BACKBONES: list[tuple[Callable[[int, int], nn.Module], str]] = [
    (lambda s, k: nn.Conv2d(s, k, 3), "logits of"),
    (lambda s, k: nn.Sequential(nn.Conv2d(s, k, 2, stride=2), nn.Upsample((64, 64))), "logits of"),
    (BatchDependent, "other images of its batch"),
    (lambda s, k: SHARED[f"{s}-{k}"], "share weights"),
    (unseeded, "two builds with the same seed"),
    (
        lambda s, k: nn.Sequential(nn.Conv2d(s, k, 1), Detached()),
        "no gradient reaches",
    ),
    (lambda s, k: nn.Sequential(nn.Conv2d(s, k, 1), nn.Threshold(1e9, 0.0)), "no gradient reaches"),
]


class Detached(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


@pytest.mark.parametrize(("build", "words"), BACKBONES)
def test_check_backbone_detects_a_broken_backbone(
    build: Callable[[int, int], nn.Module], words: str
) -> None:
    class Broken(Backbone):
        def build(self, channels: int, classes: int) -> nn.Module:
            return build(channels, classes)

    fails(testing.check_backbone, Broken(), words)


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def dice(logits: Tensor, y: Tensor, region: Tensor) -> Tensor:
    batch = Batch(torch.zeros_like(region)[:, None], region, torch.ones(logits.shape[:2]).bool())
    return SmoothDice()(logits, y, batch, Multilabel())


LOSSES: list[tuple[Loss, str]] = [
    (lambda a, y, r: ((a.float() - y) ** 2 * r).sum((1, 2, 3)), "not a scalar"),
    (lambda a, y, r: ((a.sigmoid() - y) ** 2 * r).mean(), "bfloat16, not float32"),
    (lambda a, y, r: ((a.float() - y) ** 2).mean() + 0 * r.sum(), "outside the region"),
    (lambda a, y, r: -(y * a.float().sigmoid().log()).where(r, 0).sum(), "the loss is inf"),
    (
        lambda a, y, r: (a.float().sigmoid() - y).where(r, 0).square().sum().sqrt(),
        "gradient is not finite",
    ),
    (lambda a, y, r: -dice(a, y, r), "does not decrease as f approaches y"),
    (lambda a, y, r: dice(a, y, r) + y[~r.expand_as(y)].mean().float(), "outside the region"),
    (lambda a, y, r: dice(a, y, r) * next(CALLS), "changes from call to call"),
]


@pytest.mark.parametrize(("measure", "words"), LOSSES)
def test_check_loss_detects_a_broken_loss(measure: Loss, words: str) -> None:
    class Broken(PixelLoss):
        def __call__(
            self,
            logits: Tensor,
            y: Tensor,
            batch: Batch,
            relation: ClassRelation,  # noqa: ARG002
        ) -> Tensor:
            return measure(logits, y, batch.region)

    fails(testing.check_loss, Broken(), words)


def test_check_loss_accepts_a_loss_that_ignores_the_targets() -> None:
    class LargestShare(PixelLoss):
        """Penalty on a class that covers more than half of an image's region."""

        def __call__(
            self,
            logits: Tensor,
            y: Tensor,  # noqa: ARG002
            batch: Batch,
            relation: ClassRelation,
        ) -> Tensor:
            f = relation.probability(logits.float()).where(batch.region, 0)
            share = f.sum((2, 3)) / batch.region.sum((2, 3)).clamp(min=1)
            return ((share - 0.5).clamp(min=0) ** 2).mean()

    testing.check_loss(LargestShare())


TAG_LOSSES: list[tuple[Loss, str]] = [
    (lambda a, t, r: MeanLogits()(a, t, r) * torch.ones(2), "not a scalar"),
    (lambda a, t, r: a.where(r, 0).mean() + 0 * t.sum(), "bfloat16, not float32"),
    (lambda a, t, r: a.float().where(r, 0).exp().sum() - t.sum(), "the loss is inf"),
    (lambda a, t, r: MeanLogits()(a, t, r) + 0.1 * a.float().mean(), "outside the region"),
    (lambda a, t, r: MeanLogits()(a, ~t, r), "does not decrease as more pixels agree"),
    (
        lambda a, t, r: MeanLogits()(a, t, r) + a.detach()[:, :, 0, 0].sum().float(),
        "outside the region",
    ),
    (lambda a, t, r: MeanLogits()(a, t, r) * next(CALLS), "changes from call to call"),
]


@pytest.mark.parametrize(("measure", "words"), TAG_LOSSES)
def test_check_tag_loss_detects_a_broken_loss(measure: Loss, words: str) -> None:
    class Broken(TagLoss):
        def __call__(self, logits: Tensor, tags: Tensor, region: Tensor) -> Tensor:
            return measure(logits, tags, region)

    fails(testing.check_tag_loss, Broken(), words)


def test_check_tag_loss_detects_possible_values_that_are_not_a_mask() -> None:
    class Broken(TagLoss):
        def __call__(self, logits: Tensor, tags: Tensor, region: Tensor) -> Tensor:
            return MeanLogits()(logits, tags, region)

        def possible(self, logits: Tensor, region: Tensor) -> Tensor:
            return logits.where(region, 0)

    fails(testing.check_tag_loss, Broken(), "not a mask")


def test_checks_run_on_the_accelerator_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU, and a "meta" device that the prior ignores, replace the accelerator."""

    class AlwaysOnCpu(Prior):
        def __call__(self, batch: Batch) -> Tensor:
            return torch.full(batch.support.shape, 0.5)

    monkeypatch.setattr("wsseg.testing.assertions.accelerators", lambda: [torch.device("cpu")])
    testing.check_prior(AlwaysOnCpu())
    testing.check_backbone(ConvBackbone())
    testing.check_estep(HardEM())
    testing.check_loss(SmoothDice())
    testing.check_tag_loss(MeanLogits())
    monkeypatch.setattr("wsseg.testing.assertions.accelerators", lambda: [torch.device("meta")])
    fails(testing.check_prior, AlwaysOnCpu(), "for inputs on meta, the result is on cpu")


class ConvBackbone(Backbone):
    """A 1x1 convolution."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Conv2d(channels, classes, 1)


class Stem3d(Backbone):
    """A three-dimensional convolution over the slices, followed by a two-dimensional one."""

    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Unflatten(1, (1, channels)),
            nn.Conv3d(1, 4, (channels, 3, 3), padding=(0, 1, 1)),
            nn.Flatten(1, 2),
            nn.ReLU(),
            nn.Conv2d(4, classes, 1),
        )


def test_check_backbone_accepts_three_dimensional_convolutions() -> None:
    testing.check_backbone(Stem3d())


def keeps_lr(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": each["params"]} for each in groups], lr=1.0)


class Counting(torch.optim.SGD):
    """SGD that counts its steps in a number, which cannot be saved with tensors."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for weight in group["params"]:
                self.state[weight]["steps"] = self.state[weight].get("steps", 0) + 1
        return super().step(closure)


class Drifting(torch.optim.SGD):
    """SGD that adds to the weights whatever the learning rate."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for weight in group["params"]:
                weight.add_(0.1)
        return super().step(closure)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (keeps_lr, "`lr` of a group is ignored"),
        (lambda _: "sgd", "not an optimizer"),
        (lambda groups: Counting(groups, lr=0.1), "the state steps is int, not a Tensor"),
        (lambda groups: Drifting(groups, lr=0.1), "weights change even if `lr` is 0"),
    ],
)
def test_check_optimizer_detects_a_broken_optimizer(
    build: Callable[[Any], Any], words: str
) -> None:
    class Broken(Optimizer):
        def build(self, groups: Any) -> Any:
            return build(groups)

    fails(testing.check_optimizer, Broken(lr=0.1), words)


def test_check_encoder_weights_detects_values_that_are_not_finite() -> None:
    class Broken(EncoderWeights):
        def tensors(self) -> dict[str, Tensor]:
            return {"conv.weight": torch.tensor([1.0, float("nan")])}

    fails(testing.check_encoder_weights, Broken(), "conv.weight has values that are not finite")


class Counts(EStep):
    """Divides the posterior by the number of calls, which it counts in a private attribute."""

    _calls: int = PrivateAttr(0)

    def __call__(self, evidence: Evidence) -> Tensor:
        self._calls = min(self._calls + 1, 1)
        return SoftEM()(evidence) / self._calls


class Lists(Prior):
    """Lists the cases it has seen in a field."""

    seen: list[str] = Field(default_factory=list)

    def __call__(self, batch: Batch) -> Tensor:
        self.seen.append("a case")
        return half(batch)


class NewestBelief(EStep):
    """Targets of the evidence of the call before, kept outside the class."""

    def __call__(self, evidence: Evidence) -> Tensor:
        y = BEFORE.get("y", SoftEM()(evidence))
        BEFORE["y"] = SoftEM()(evidence)
        return y.where(evidence.batch.support, 0).to(evidence.phi.dtype)


BEFORE: dict[str, Tensor] = {}


def test_checks_detect_state_that_is_not_saved() -> None:
    fails(testing.check_estep, Counts(), "the attribute _calls changes")
    fails(testing.check_prior, Lists(), "the attribute seen changes")
    fails(testing.check_estep, Scheduled(first=Counts(), then=SoftEM(), at=0.5), "first._calls")
    fails(testing.check_estep, NewestBelief(), "the result changes from call to call")


class Remembers(EStep):
    """Targets of the mean posterior of the step before."""

    factor: float = 1

    def __call__(self, evidence: Evidence) -> Tensor:
        mean = evidence.memory.get("mean", torch.tensor(0.5))
        return (evidence.batch.support * mean / 2).to(evidence.phi.dtype)

    def remember(self, evidence: Evidence) -> dict[str, Any]:
        return {"mean": self.factor * SoftEM()(evidence).float().mean()}


class RemembersNumber(Remembers):
    """Remembers no tensor."""

    def remember(self, evidence: Evidence) -> dict[str, Any]:
        return {"mean": super().remember(evidence)["mean"].item()}


class RemembersCalls(Remembers):
    """Remembers something else in each call."""

    def remember(self, evidence: Evidence) -> dict[str, Any]:  # noqa: ARG002
        return {"calls": torch.tensor(next(CALLS))}


def test_check_estep_checks_targets_with_memory() -> None:
    testing.check_estep(Remembers())
    fails(testing.check_estep, Remembers(factor=30), "above 1")
    fails(testing.check_estep, RemembersNumber(), "remember returns mean as float")
    fails(testing.check_estep, RemembersCalls(), "the calls that remember returns changes")


class Refitted(Prior):
    """phi is a level that `refit` replaces."""

    level: float = 0.5
    after: float = 0.7

    def __call__(self, batch: Batch) -> Tensor:
        return torch.full(batch.support.shape, self.level)

    def refit(self, evidence: Iterable[Evidence]) -> Self:
        return self.model_copy(update={"level": self.after * len(list(evidence)) / 2})


class RefittedSecretly(Refitted):
    """Does not say that it is fitted again."""

    @property
    def refits(self) -> bool:
        return False


class RefittedToTensor(Refitted):
    """Returns a value that cannot be saved from `refit`."""

    def refit(self, evidence: Iterable[Evidence]) -> Self:  # noqa: ARG002
        return self.model_copy(update={"level": torch.tensor(0.7)})


def test_check_prior_checks_refit() -> None:
    testing.check_prior(Refitted())
    fails(testing.check_prior, Refitted(after=2), "phi after refit has a maximum of 2")
    fails(testing.check_prior, RefittedSecretly(), "`refits` is False")
    fails(testing.check_prior, RefittedToTensor(), "cannot be saved")


def test_check_prior_detects_a_prior_that_fails_for_several_channels() -> None:
    class OfOneChannel(Prior):
        def __call__(self, batch: Batch) -> Tensor:
            return batch.middle.sigmoid().expand(batch.support.shape)

    with pytest.raises(
        AssertionError, match=r"image of 3 channels raises RuntimeError: .*Add a field"
    ):
        testing.check_prior(OfOneChannel(), classes=2)
