"""Checks that a component keeps the contract of its interface, for the tests of a plugin.

Each check raises an `AssertionError` that describes the first violation. The inputs are small and
contain edge cases: empty regions, tags without any class, probabilities of exactly 0 and 1, images
of one slice, and sizes that are not multiples of a power of 2.
"""

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from wsseg.components.cohorts import FORBIDDEN_IN_NAMES
from wsseg.components.registry import registry
from wsseg.core.batch import Batch, Probability
from wsseg.core.case import Case
from wsseg.core.class_relation import Multiclass, Multilabel
from wsseg.core.component import Component
from wsseg.core.image_unit import ImageUnit
from wsseg.core.interfaces import (
    Backbone,
    Cohort,
    EStep,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
)
from wsseg.core.volume import Volume
from wsseg.testing import samples

T = TypeVar("T")
DTYPES = (torch.float32, torch.bfloat16)
SIZES = ((64, 64), (50, 70))  # pixels
SPACING_MM = (5.0, 0.8, 0.7)


def check_prior(prior: Prior, classes: int = 1) -> None:
    """Check that `prior` keeps the contract of `Prior`, before and after `fit`.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import Batch, Prior, Probability
        >>> from wsseg.testing import check_prior
        >>> class NoOpinion(Prior):
        ...     def __call__(self, batch: Batch) -> Probability:
        ...         return batch.support.float() * 0 + 0.5
        >>> check_prior(NoOpinion())
    """
    batches = [samples.batch(classes, slices, dtype) for slices in (1, 5) for dtype in DTYPES]
    fitted = prior.fit(iter(batches[-2:]))
    assert type(fitted) is type(prior), f"fit returns {fitted!r}"
    assert fitted == prior.fit(iter(batches[-2:])), "two fits to the same slices differ"
    for each, batch in product((prior, fitted), batches):
        phi = _repeatable(each, batch)
        _check_probability("phi", phi, batch)
        _check_image_by_image("phi", each, batch, phi)
        _check_on_devices(each, batch, phi)
    _check_written_and_read(prior)
    _check_written_and_read(fitted)


def check_estep(estep: EStep, classes: int = 2) -> None:
    """Check that `estep` keeps the contract of `EStep`, for both class relations.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import EStep, make
        >>> from wsseg.testing import check_estep
        >>> check_estep(make(EStep, "soft"))
    """
    for dtype, labels, progress in product(DTYPES, (Multilabel(), Multiclass()), (0.0, 0.5, 1.0)):
        evidence = replace(samples.evidence(classes, dtype), labels=labels, progress=progress)
        y = _repeatable(estep, evidence)
        _check_probability("y", y, evidence.batch)
        assert not y[~evidence.batch.support].any(), "y is not 0 outside the support"
        if isinstance(labels, Multiclass):
            assert y.float().sum(1).max() <= 1 + _tolerance(y), "exclusive classes add up to over 1"
        _check_image_by_image("y", estep, evidence, y)
        _check_on_devices(estep, evidence, y)
    _check_written_and_read(estep)


def check_backbone(backbone: Backbone, slices: int = 5, classes: int = 2) -> None:
    """Check that `backbone` keeps the contract of `Backbone`.

    It is built for `slices` and `classes`, and for one slice and one class.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from torch import nn
        >>> from wsseg import Backbone
        >>> from wsseg.testing import check_backbone
        >>> class Pixelwise(Backbone):
        ...     def build(self, slices: int, classes: int) -> nn.Module:
        ...         return nn.Conv2d(slices, classes, kernel_size=1)
        >>> check_backbone(Pixelwise())
    """
    for s, k in {(slices, classes), (1, 1)}:
        net = _built(backbone, s, k)
        for height, width in SIZES:
            image = samples.noise(2, s, height, width)
            logits = _repeatable(net.eval(), image)
            assert logits.shape == (2, k, height, width), (
                f"logits of {(2, s, height, width)} are {tuple(logits.shape)}"
            )
            _check_image_by_image("logits (in evaluation mode)", net, image, logits)
        _check_on_devices(net, image, logits)
        _check_weights(backbone, s, k, net, image)
        _check_learning(net, image)
    _check_written_and_read(backbone)


def check_loss(loss: PixelLoss, classes: int = 2) -> None:
    """Check that `loss` keeps the contract of `PixelLoss`, also without any positive pixel.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import PixelLoss, make
        >>> from wsseg.testing import check_loss
        >>> check_loss(make(PixelLoss, "smooth-dice"))
    """
    batch = samples.batch(classes, 1, torch.float32)
    y = (samples.noise(*batch.support.shape) > 0).float()
    for dtype, target in product(DTYPES, (y, torch.zeros_like(y), torch.ones_like(y))):
        for f in (target, 1 - target, samples.noise(*y.shape).sigmoid()):
            _check_gradient(loss, f.to(dtype), target.to(dtype), batch.region)
    right, wrong = loss(y, y, batch.region), loss(1 - y, y, batch.region)
    between = loss(0.5 * torch.ones_like(y), y, batch.region)
    assert right < between < wrong, "the loss does not fall as f approaches y"
    elsewhere = y.where(batch.region, 1 - y)
    same = [loss(elsewhere, y, batch.region), loss(y, elsewhere, batch.region)]
    assert same == [right, right], "the loss depends on pixels outside the region"
    _check_written_and_read(loss)


def check_tag_loss(loss: TagLoss, classes: int = 2) -> None:
    """Check that `loss` keeps the contract of `TagLoss`, also for logits far from 0.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import TagLoss, make
        >>> from wsseg.testing import check_tag_loss
        >>> check_tag_loss(make(TagLoss, "noisy-or", instances=10))
    """
    batch = samples.batch(classes, 1, torch.float32)
    for dtype, scale in product(DTYPES, (0, 1, 1000)):
        logits = (scale * samples.noise(*batch.support.shape)).to(dtype)
        _check_gradient(loss, logits, batch.tags, batch.region)
        possible = loss.possible(logits, batch.region)
        shaped = possible.shape == logits.shape and possible.dtype == torch.bool
        assert shaped, f"possible returns {tuple(possible.shape)}, {possible.dtype}, not a mask"
    as_tagged = batch.support * 18.0 - 9
    right, between, wrong = (loss(s * as_tagged, batch.tags, batch.region) for s in (1, 0, -1))
    assert right < between < wrong, "the loss does not fall as more pixels agree with the tag"
    elsewhere = loss(as_tagged.where(batch.region, 9), batch.tags, batch.region)
    assert torch.equal(elsewhere, right), "the loss depends on pixels outside the region"
    _check_written_and_read(loss)


def check_region(region: Region, case: Case | None = None, volume: Volume | None = None) -> None:
    """Check that `region` keeps the contract of `Region`.

    Pass the `case` or the `volume` that the region needs. By default the case has no files, and the
    volume is a block of bright tissue, with a dark cavity, in dark surroundings.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import Region, make
        >>> from wsseg.testing import check_region
        >>> check_region(make(Region, "nonzero"))
    """
    case = case or Case(name="made-up", patient="made-up", image=Path("made-up.nii.gz"))
    volume = volume or samples.volume()
    blank = replace(volume, voxels=np.zeros_like(volume.voxels))
    for each in (volume, blank):
        voxels = each.voxels.copy()
        mask = region(case, each)
        assert isinstance(mask, np.ndarray), f"the mask is a {type(mask).__name__}"
        assert mask.dtype == np.bool_, f"the mask is {mask.dtype}, not bool"
        assert mask.shape == voxels.shape, f"the mask is {mask.shape}, the volume {voxels.shape}"
        assert np.array_equal(mask, region(case, each)), "the mask changes from call to call"
        assert np.array_equal(voxels, each.voxels), "the region changes the volume"
    _check_written_and_read(region)


def check_cohort(cohort: Cohort) -> None:
    """Check that `cohort` keeps the contract of `Cohort` and that its files exist.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import Table
        >>> from wsseg.testing import check_cohort
        >>> check_cohort(Table(path="cohort.csv"))
    """
    cases = cohort.cases()
    assert cases, "the cohort has no cases"
    assert cases == cohort.cases(), "the cases change from call to call"
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases have the same name"
    split_of: dict[str, str] = {}
    for case in cases:
        assert not FORBIDDEN_IN_NAMES & set(case.name), (
            f"{case.name!r} cannot be the name of a file, as predictions require"
        )
        assert split_of.setdefault(case.patient, case.split) == case.split, (
            f"patient {case.patient!r} is in two splits"
        )
        for path in (case.image, *case.masks.values()):
            assert path.exists(), f"case {case.name!r}: the file {path} does not exist"
        for tags in (case.tags, *case.slice_tags.values()):
            assert all(tag in (True, False, None) for tag in tags.values()), (
                f"case {case.name!r}: tags must be True, False or None; they are {dict(tags)}"
            )
    _check_written_and_read(cohort)


def check_metric(metric: Metric) -> None:
    """Check that `metric` keeps the contract of `Metric`, also for empty masks.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import Metric, make
        >>> from wsseg.testing import check_metric
        >>> check_metric(make(Metric, "dice"))
    """
    masks = samples.masks()
    names: set[frozenset[str]] = set()
    for prediction, truth in product(masks, masks):
        given = [each.copy() for each in (prediction, truth, masks[0])]
        row = metric(prediction, truth, SPACING_MM, masks[0])
        again = metric(prediction, truth, SPACING_MM, masks[0])
        names.add(frozenset(row))
        for key, value in row.items():
            _check_number(f"{key!r}", value)
            assert np.array_equal(value, again[key], equal_nan=True), f"{key!r} changes"
        assert all(map(np.array_equal, given, (prediction, truth, masks[0]))), (
            "the metric changes a mask"
        )
    assert len(names) == 1, f"rows have different columns: {sorted(map(sorted, names))}"
    assert min(names), "rows have no columns"
    _check_written_and_read(metric)


def check_score(score: Score) -> None:
    """Check that `score` keeps the contract of `Score`.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import Score, make
        >>> from wsseg.testing import check_score
        >>> check_score(make(Score, "share", of="tumour", within="liver"))
    """
    names = sorted(score.needs)
    for masks in product(samples.masks(), repeat=len(names)):
        given = dict(zip(names, masks, strict=True))
        value = score(given)
        _check_number("the score", value)
        assert np.array_equal(value, score(given), equal_nan=True), "the score changes"
    _check_written_and_read(score)


def check_unit(unit: ImageUnit) -> None:
    """Check that `unit` keeps the contract of `ImageUnit`.

    Raises:
        AssertionError: It does not; the message describes the difference.

    Example:
        >>> from wsseg import ImageUnit, make
        >>> from wsseg.testing import check_unit
        >>> check_unit(make(ImageUnit, "any"))
    """
    assert unit.name.split() == [unit.name], f"the name {unit.name!r} is not a single word"
    for key in ("lowest_measured", "highest_tissue", "fill"):
        if (value := getattr(unit, key)) is not None:
            _check_number(key, value)
            assert math.isfinite(value), f"{key} is {value}"
    for lowest, highest in ((0, 0), (0, 1), (0, 255), (-1e6, 1e6)):
        reason = unit.mismatch(lowest, highest)
        assert isinstance(reason, str), f"mismatch returns {reason!r}, not a text"
        assert reason == unit.mismatch(lowest, highest), "mismatch changes from call to call"
    if unit.window is not None:
        black, white = unit.window
        assert black < white, f"window is {unit.window}; black must be the lower value"
        assert not unit.mismatch(black, white), "an image that fills the window is not in the unit"
    _check_written_and_read(unit)


def _check_probability(name: str, value: Probability, batch: Batch) -> None:
    expected = tuple(batch.support.shape)
    assert value.shape == expected, f"{name} is {tuple(value.shape)}, not (B, K, H, W) = {expected}"
    assert value.is_floating_point(), f"{name} is {value.dtype}, not floating-point"
    assert value.isfinite().all(), f"{name} is not finite everywhere"
    assert value.min() >= 0, f"{name} has a minimum of {value.min():g}, below 0"
    assert value.max() <= 1, f"{name} has a maximum of {value.max():g}, above 1"


def _repeatable(call: Callable[[T], Tensor], given: T) -> Tensor:
    """Return the result of `call`; check that it is repeatable, without side effect or gradient."""
    before = copy.deepcopy(given)
    with torch.no_grad():
        first, second = call(given), call(given)
    assert _same(first, second), "the result changes from call to call"
    unchanged = all(map(torch.equal, _tensors(before), _tensors(given)))
    assert unchanged, "the call changes its input"
    assert not first.requires_grad, "the result has a gradient, which no_grad should have prevented"
    return first


def _check_image_by_image(
    name: str, call: Callable[[T], Tensor], given: T, together: Tensor
) -> None:
    tolerance = _tolerance(together) * together.float().std().item()
    for i in range(len(together)):
        with torch.no_grad():
            alone = call(_one(given, i))
        near = torch.allclose(alone[0].float(), together[i].float(), atol=tolerance)
        assert near, f"{name} of an image depends on the other images of its batch"


def _check_on_devices(call: Any, given: T, expected: Tensor) -> None:
    for device in _devices():
        if isinstance(call, nn.Module):
            call = copy.deepcopy(call).to(device)
        with torch.no_grad():
            found = call(_moved(given, device))
        assert found.device.type == device.type, (
            f"for inputs on {device}, the result is on {found.device}"
        )
        near = torch.allclose(found.cpu().float(), expected.float(), atol=10 * _tolerance(found))
        assert near, f"the result on {device} differs from that on the CPU"


def _check_weights(
    backbone: Backbone, slices: int, classes: int, net: nn.Module, image: Tensor
) -> None:
    other = backbone.build(slices, classes).eval()
    own = {parameter.data_ptr() for parameter in net.parameters()}
    assert own, "the module has no parameters"
    shared = any(parameter.data_ptr() in own for parameter in other.parameters())
    assert not shared, "two builds share weights"
    other.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert torch.equal(other(image), net(image)), (
            "a second module with the same weights gives other logits"
        )


def _check_learning(net: nn.Module, image: Tensor) -> None:
    """Check gradients in training mode with bfloat16 and channels_last, as the trainer uses."""
    net = copy.deepcopy(net).train().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(image.to(memory_format=torch.channels_last))
    assert logits.isfinite().all(), "logits in bfloat16 are not finite everywhere"
    assert logits.requires_grad, "no gradient reaches the weights"
    (logits.float() * samples.noise(*logits.shape)).sum().backward()
    gradients = [each.grad for each in net.parameters() if each.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients), "gradients are not finite"
    assert any(gradient.any() for gradient in gradients), "no gradient reaches the weights"


def _check_gradient(loss: PixelLoss | TagLoss, f: Tensor, y: Tensor, region: Tensor) -> None:
    f = f.clone().requires_grad_()
    value = loss(f, y, region)
    assert value.shape == (), f"the loss is {tuple(value.shape)}, not a scalar"
    assert value.dtype == torch.float32, f"the loss is {value.dtype}, not float32"
    assert value.isfinite(), f"the loss is {value:g}"
    assert torch.equal(value, loss(f, y, region)), "the loss changes from call to call"
    (gradient,) = torch.autograd.grad(value, f)
    assert gradient.isfinite().all(), "the gradient is not finite everywhere"
    outside = ~region.expand_as(gradient)
    assert not gradient[outside].any(), "the gradient outside the region is not 0"
    for device in _devices():
        moved = loss(f.to(device), y.to(device), region.to(device))
        assert moved.device.type == device.type, f"the loss on {device} is on {moved.device}"


def _check_number(name: str, value: object) -> None:
    assert isinstance(value, int | float), f"{name} is a {type(value).__name__}, not a number"
    assert not math.isinf(value), f"{name} is infinite; use NaN for undefined values"


def _check_written_and_read(component: Component) -> None:
    """Check that a recipe or a checkpoint can store a component as plain data and restore it."""
    written = registry().describe(component)
    try:
        plain = json.loads(json.dumps(written))
        plain.pop("use", None)
        read = type(component).model_validate(plain, context=registry())
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{written} cannot be stored and restored: {error}") from error
    assert read == component, f"stored as {written} and restored, it is {read!r}"


def _built(backbone: Backbone, slices: int, classes: int) -> nn.Module:
    """Build a module; check that its weights depend only on the seed."""
    states = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = backbone.build(slices, classes)
        states.append(list(net.state_dict().values()))
    assert all(map(torch.equal, *states)), "two builds with the same seed have different weights"
    return net


def _tolerance(value: Tensor) -> float:
    return 1e-4 if value.dtype == torch.float32 else 2e-2


def _devices() -> list[torch.device]:
    """Return the accelerators of this machine."""
    available = torch.accelerator.is_available()
    accelerator = torch.accelerator.current_accelerator() if available else None
    return [] if accelerator is None else [accelerator]


def _one(given: T, i: int) -> T:
    """Return image `i` of a batch, as a batch of one."""
    return _changed(given, lambda tensor: tensor[i : i + 1])


def _moved(given: T, device: torch.device) -> T:
    return _changed(given, lambda tensor: tensor.to(device))


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal, where NaN equals NaN."""
    return torch.equal(one.isnan(), other.isnan()) and torch.equal(
        one.nan_to_num(), other.nan_to_num()
    )


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))


def _changed(value: T, change: Callable[[Tensor], Tensor]) -> T:
    """Return `value` with `change` applied to each tensor in it."""
    if isinstance(value, Tensor):
        return change(value)  # type: ignore[return-value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {each.name: _changed(getattr(value, each.name), change) for each in fields(value)}
    return replace(value, **changes)
