"""`wsseg plugins check` finds what is wrong with each of these parts of plugins."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pytest
import torch
from pydantic import AfterValidator, Field, PrivateAttr
from torch import Tensor, nn

from wsseg import (
    Augment,
    Backbone,
    Case,
    Cohort,
    Component,
    EncoderWeights,
    EStep,
    ImageUnit,
    Method,
    Metric,
    Optimizer,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
    TrackedRun,
    Tracker,
    hookimpl,
)
from wsseg.components.registry import HOOKS, Registry
from wsseg.testing.conformance import check_parts

SEEN: list[float] = []  # of parts that remember outside themselves


def half(batch: Any) -> Tensor:
    return torch.full(batch.support.shape, 0.5)


def soft(evidence: Any) -> Tensor:
    posterior: Tensor = evidence.labels.probability(evidence.log_odds)
    return posterior


class PriorOfOneChannel(Prior):
    def __call__(self, batch: Any) -> Any:
        return half(batch)[:, 0]


class PriorInPercent(Prior):
    def __call__(self, batch: Any) -> Any:
        return 100 * half(batch)


class PriorOfNothing(Prior):
    def __call__(self, batch: Any) -> Any: ...


class PriorThatDraws(Prior):
    def __call__(self, batch: Any) -> Any:
        return torch.rand_like(half(batch))


class PriorOfTheBatch(Prior):
    def __call__(self, batch: Any) -> Any:
        return half(batch) * batch.image.float().mean().sigmoid()


class PriorOfThePlace(Prior):
    def __call__(self, batch: Any) -> Any:
        place = torch.linspace(0.2, 0.8, len(batch.tags))
        return place[:, None, None, None].expand(batch.support.shape)


class PriorOfTheShareOfTheRegion(Prior):
    """0 / 0 where no image of a batch has a pixel in the region."""

    def __call__(self, batch: Any) -> Any:
        pixels = batch.region.sum((1, 2, 3), keepdim=True)
        return half(batch) * pixels / batch.region.sum()


class PriorThatChangesTheImage(Prior):
    def __call__(self, batch: Any) -> Any:
        batch.image.clamp_(-100, 100)
        return half(batch)


class PriorThatCounts(Prior):
    _images: int = PrivateAttr(0)

    def __call__(self, batch: Any) -> Any:
        self._images += len(batch.tags)
        return half(batch)


class PriorThatLearnsAnArray(Prior):
    mean: Any = 0.5

    def __call__(self, batch: Any) -> Any:
        return half(batch)

    def fit(self, batches: Iterable[Any]) -> Self:
        return self.model_copy(update={"mean": np.array([len(list(batches))])})


class Kind(StrEnum):
    LOW = "low"


class PriorWithAnEnum(Prior):
    kind: Kind = Field(default=Kind.LOW, strict=True)

    def __call__(self, batch: Any) -> Any:
        return half(batch)


class PriorThatFitsItself(Prior):
    levels: list[float] = Field(default_factory=list)

    def __call__(self, batch: Any) -> Any:
        return half(batch)

    def refit(self, evidence: Iterable[Any]) -> Self:
        self.levels.append(float(len(list(evidence))))
        return self


class EStepOutsideTheTags(EStep):
    def __call__(self, evidence: Any) -> Any:
        return evidence.labels.probability(evidence.logits.detach()).where(evidence.batch.region, 0)


class EStepOfDecisions(EStep):
    def __call__(self, evidence: Any) -> Any:
        return evidence.labels.decide(evidence.log_odds)


class EStepOfAllClasses(EStep):
    def __call__(self, evidence: Any) -> Any:
        return evidence.batch.support.float()


class EStepOfTheBatch(EStep):
    def __call__(self, evidence: Any) -> Any:
        q = soft(evidence)
        return q * q.mean()


class EStepOfTheShareOfTheSupport(EStep):
    separates_images: ClassVar[bool] = False

    def __call__(self, evidence: Any) -> Any:
        pixels = evidence.batch.support.sum((2, 3), keepdim=True)
        return soft(evidence) * pixels / pixels.sum()


class EStepOfTheLastImage(EStep):
    separates_images: ClassVar[bool] = False

    def __call__(self, evidence: Any) -> Any:
        q = soft(evidence)
        return q * q[-1].mean()


class EStepWithGradient(EStep):
    def __call__(self, evidence: Any) -> Any:
        with torch.enable_grad():
            return soft(evidence)


class EStepWithAGlobal(EStep):
    def __call__(self, evidence: Any) -> Any:
        SEEN.append(float(evidence.logits.float().mean()))
        return soft(evidence) * float(torch.tensor(SEEN[-2:]).mean().sigmoid())


class EStepThatRemembersAList(EStep):
    def __call__(self, evidence: Any) -> Any:
        return soft(evidence)

    def remember(self, evidence: Any) -> Any:
        return {"epochs": [evidence.epoch]}


class BackboneOfOneClass(Backbone):
    def build(self, channels: int, classes: int) -> nn.Module:  # noqa: ARG002
        return nn.Conv2d(channels, 1, 1)


class BackboneOfEvenSizes(Backbone):
    def build(self, channels: int, classes: int) -> nn.Module:
        half_size = nn.Conv2d(channels, classes, 2, stride=2)
        return nn.Sequential(half_size, nn.Upsample(scale_factor=2))


class BackboneThatSharesWeights(Backbone):
    def build(self, channels: int, classes: int) -> nn.Module:
        return SHARED.setdefault((channels, classes), nn.Conv2d(channels, classes, 1))


SHARED: dict[tuple[int, int], nn.Module] = {}


class BackboneWithDropout(Backbone):
    def build(self, channels: int, classes: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(channels, classes, 1), AlwaysDropout())


class AlwaysDropout(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x)


class LossPerImage(PixelLoss):
    def __call__(self, logits: Any, y: Any, *_: Any) -> Any:
        return (logits.float().sigmoid() - y.float()).square().mean((1, 2, 3))


class LossOfTheImage(PixelLoss):
    def __call__(self, logits: Any, y: Any, *_: Any) -> Any:
        return (logits.float().sigmoid() - y.float()).square().mean()


class LossThatRises(PixelLoss):
    def __call__(self, logits: Any, y: Any, batch: Any, relation: Any) -> Any:
        error = relation.probability(logits.float()) - y.float()
        return -error.square().where(batch.region, 0).mean()


class LossPerPixelOfTheRegion(PixelLoss):
    def __call__(self, logits: Any, y: Any, batch: Any, relation: Any) -> Any:
        error = (relation.probability(logits.float()) - y.float()).square()
        return error.where(batch.region, 0).sum() / batch.region.sum()


class LossWithoutGradient(LossPerPixelOfTheRegion):
    def __call__(self, logits: Any, y: Any, batch: Any, relation: Any) -> Any:
        if not batch.region.any():
            return torch.zeros(())
        return super().__call__(logits, y, batch, relation)


class TagLossPerPixelOfTheRegion(TagLoss):
    def __call__(self, logits: Any, tags: Any, region: Any) -> Any:
        pixels = region.sum((2, 3))
        mean = logits.float().where(region, 0).sum((2, 3)) / pixels.clamp(min=1)
        each = nn.functional.binary_cross_entropy_with_logits(mean, tags.float(), reduction="none")
        return (each * pixels).sum() / pixels.sum()


class TagLossOfNumbers(TagLoss):
    def __call__(self, logits: Any, tags: Any, region: Any) -> Any:  # noqa: ARG002
        return float(logits.detach().float().where(region, 0).mean())


class MethodPerClass(Method):
    def __call__(self, logits: Any, evidence: Any) -> Any:
        return (logits - evidence.logits).float().mean((0, 2, 3))


class MethodPerPixelOfTheRegion(Method):
    def __call__(self, logits: Any, evidence: Any) -> Any:
        distance = (logits.float() - evidence.logits).square()
        return distance[evidence.batch.region.expand_as(distance)].mean()


class RegionOfFloats(Region):
    def __call__(self, case: Any, volume: Any) -> Any:  # noqa: ARG002
        return np.full(samples_shape(volume), 0.5)


class RegionOfASlice(Region):
    def __call__(self, case: Any, volume: Any) -> Any:  # noqa: ARG002
        return np.full(samples_shape(volume)[1:], fill_value=True)


class RegionOfTheLastScan(Region):
    def __call__(self, case: Any, volume: Any) -> Any:  # noqa: ARG002
        BRIGHTEST.append(float(volume.voxels.max()))
        return np.full(samples_shape(volume), BRIGHTEST[-1] > min(BRIGHTEST[-2:]))


BRIGHTEST: list[float] = []


def samples_shape(volume: Any) -> tuple[int, int, int]:
    depth, height, width = volume.voxels.shape[-3:]
    return depth, height, width


class CohortOfTexts(Cohort):
    def cases(self) -> Any:
        return ["a.nii.gz"]


class CohortOfMissingScans(Cohort):
    def cases(self) -> list[Case]:
        return [Case("a", "a", Path("no such scan.nii.gz"))]


class MetricOfAList(Metric):
    def __call__(self, prediction: Any, truth: Any, *_: Any) -> Any:
        return [float((prediction & truth).sum())]


class MetricWithInfinity(Metric):
    def __call__(self, prediction: Any, truth: Any, *_: Any) -> Any:
        return {"ratio": float(prediction.sum() / truth.sum()) if truth.any() else float("inf")}


class MetricWithoutEmptyMasks(Metric):
    def __call__(self, prediction: Any, truth: Any, *_: Any) -> Any:
        return {"overlap": float((prediction & truth).sum())} if truth.any() else {}


class MetricWithADot(Metric):
    def __call__(self, prediction: Any, truth: Any, *_: Any) -> Any:
        return {"lesion.overlap": float((prediction & truth).sum())}


class MetricNamedLikeACase(Metric):
    def __call__(self, prediction: Any, truth: Any, *_: Any) -> Any:
        return {"case": float((prediction & truth).sum())}


class MetricWithoutNames(Metric):
    def __call__(self, prediction: Any, truth: Any, *_: Any) -> Any:
        return {0: float((prediction & truth).sum())}


class ScoreAsText(Score):
    needs: ClassVar[frozenset[str]] = frozenset({"lesion"})

    def __call__(self, masks: Any) -> Any:
        return f"{masks['lesion'].sum()} voxels"


class OptimizerOfItsOwnRate(Optimizer):
    lr: Any = 0.1

    def build(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        weights = [each for group in groups for each in group["params"]]
        return torch.optim.SGD(weights, lr=0.5)


class AugmentThatCrops(Augment):
    def __call__(self, image: Any, masks: Any, fill: float, seed: int) -> Any:  # noqa: ARG002
        return image[2:-2], masks[2:-2]


class AugmentWithoutSeed(Augment):
    def __call__(self, image: Any, masks: Any, fill: float, seed: int) -> Any:  # noqa: ARG002
        return image + np.float32(np.random.default_rng().normal()), masks


class UnitInTwoWords(ImageUnit):
    name = "wrong"
    window = (10, 0)

    def mismatch(self, lowest: float, highest: float) -> str:  # noqa: ARG002
        return ""


class WeightsOfArrays(EncoderWeights):
    def tensors(self) -> Any:
        return {"conv.weight": np.ones(3)}


class TrackerThatRenames(Tracker):
    project: Annotated[str, AfterValidator(lambda name: f"{name}-1")] = "a"

    def open(self, folder: Path, name: str) -> TrackedRun:
        raise NotImplementedError


WRONG: list[tuple[type[Component], str]] = [
    (PriorOfOneChannel, r"phi is .*, not \(B, K, H, W\)"),
    (PriorInPercent, "phi has a maximum of 50, above 1"),
    (PriorOfNothing, "the result is a NoneType, not a Tensor"),
    (PriorThatDraws, "the result changes from call to call"),
    (PriorOfTheBatch, "depends on the pixels of the other images"),
    (PriorOfThePlace, "phi of an image depends on the order of the images"),
    (PriorOfTheShareOfTheRegion, "phi is not finite .*for a batch with no pixel in the region"),
    (PriorThatChangesTheImage, "the call changes its input"),
    (PriorThatCounts, "the attribute _images changes"),
    (PriorThatLearnsAnArray, "mean"),
    (PriorWithAnEnum, "cannot be saved as YAML"),
    (PriorThatFitsItself, "the attribute levels changes"),
    (EStepOutsideTheTags, "y is not 0 outside the support"),
    (EStepOfDecisions, "not floating-point"),
    (EStepOfAllClasses, "add up to over 1"),
    (EStepOfTheBatch, "y of an image depends on the other images"),
    (EStepOfTheShareOfTheSupport, "y is not finite .*for a batch with no pixel in the region"),
    (EStepOfTheLastImage, "y of an image depends on the order of the images"),
    (EStepWithGradient, "requires a gradient"),
    (EStepWithAGlobal, "the result changes from call to call"),
    (EStepThatRemembersAList, "remember returns epochs as list"),
    (BackboneOfOneClass, "logits of"),
    (BackboneOfEvenSizes, r"logits of .* have .* pixels"),
    (BackboneThatSharesWeights, "the same seed|share weights"),
    (BackboneWithDropout, "the result changes from call to call"),
    (LossPerImage, r"the loss is \(3,\), not a scalar"),
    (LossOfTheImage, "outside the region"),
    (LossThatRises, "the loss does not decrease"),
    (LossPerPixelOfTheRegion, "the loss is nan for a batch with no pixel in the region"),
    (LossWithoutGradient, "the loss has no gradient for a batch with no pixel in the region"),
    (TagLossPerPixelOfTheRegion, "the loss is nan for a batch with no pixel in the region"),
    (TagLossOfNumbers, "not a Tensor"),
    (MethodPerClass, "not a scalar"),
    (MethodPerPixelOfTheRegion, "the loss is nan for a batch with no pixel in the region"),
    (RegionOfFloats, "the mask is float64, not bool"),
    (RegionOfASlice, "the mask is .*, the volume"),
    (RegionOfTheLastScan, "the mask changes from call to call"),
    (CohortOfTexts, "these are not cases"),
    (CohortOfMissingScans, "no such scan.nii.gz does not exist"),
    (MetricOfAList, "a row is a list, not a dict"),
    (MetricWithInfinity, "is infinite"),
    (MetricWithoutEmptyMasks, "rows have different columns"),
    (MetricWithADot, "its column 'lesion.overlap' contains a dot"),
    (MetricNamedLikeACase, "the column 'case' of the results would belong to both the identity"),
    (MetricWithoutNames, "a column is called 0, which is not a string"),
    (ScoreAsText, "is a str, not a number"),
    (OptimizerOfItsOwnRate, "`lr` of a group is ignored"),
    (AugmentThatCrops, "AugmentThatCrops"),
    (AugmentWithoutSeed, "two calls with the same seed differ"),
    (UnitInTwoWords, "black must be the lower value"),
    (TrackerThatRenames, "saved as YAML, .* is read as"),
    (WeightsOfArrays, "conv.weight is ndarray, not a Tensor"),
]


def plugin_with(part: type[Component]) -> Registry:
    """Return a registry of a plugin that offers one part."""
    hook = next(hook for hook, kinds in HOOKS.items() for kind in kinds if issubclass(part, kind))
    module = ModuleType("a_plugin")
    setattr(module, hook, hookimpl(offer(part)))
    found = Registry()
    found.add("wrong", "wsseg-wrong 1.0", module)
    return found


def offer(part: type[Component]) -> Callable[[], dict[str, type[Component]]]:
    return lambda: {"wrong": part}


@pytest.mark.parametrize(("part", "words"), WRONG, ids=[part.__name__ for part, _ in WRONG])
def test_plugins_check_finds_what_is_wrong_with_a_part(part: type[Component], words: str) -> None:
    (result,) = check_parts(plugin_with(part))
    assert result.verdict == "FAILED", result.verdict
    assert result.error is not None
    with pytest.raises(AssertionError, match=words):
        raise result.error


def test_at_least_thirty_broken_parts_of_all_kinds_are_tested() -> None:
    kinds = {kind for of in HOOKS.values() for kind in of if issubclass(kind, Component)}
    assert len(WRONG) >= 30
    assert {kind for kind in kinds for part, _ in WRONG if issubclass(part, kind)} == kinds
