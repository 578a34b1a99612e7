"""Conformance tests of priors, E-steps, backbones and losses."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor, nn

from wsseg.components.backbones import Smp
from wsseg.core.batch import Batch, Evidence, Outputs, Probability
from wsseg.core.class_relation import ClassRelation, Multiclass, Multilabel
from wsseg.core.interfaces import Backbone, EncoderWeights, EStep, Method, PixelLoss, Prior, TagLoss
from wsseg.core.optimizer import Optimizer
from wsseg.runtime.memory_format import to_channels_last
from wsseg.testing import samples
from wsseg.testing.assertions import (
    assert_any_order,
    assert_can_be_saved,
    assert_differentiable,
    assert_equal_on_accelerators,
    assert_independent_images,
    assert_probability,
    check_for_channels,
    keeps_no_state,
    repeated_result,
    tolerance,
)

DTYPES = (torch.float32, torch.bfloat16)
SIZES = ((64, 64), (50, 70))  # pixels
TRAINING_SIZES = ((2, 50, 70), (3, 45, 51))  # images in a batch, pixels


@keeps_no_state
def check_prior(prior: Prior, classes: int = 1) -> None:
    """Check that `prior` follows the contract of `Prior`, before and after `fit`.

    It is checked on images with one channel and with three; it may reject one of them with
    `InputError`.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import Batch, Prior, Probability
        >>> from wsseg.testing import check_prior
        >>> class NoOpinion(Prior):
        ...     def __call__(self, batch: Batch) -> Probability:
        ...         return batch.support.float() * 0 + 0.5
        >>> check_prior(NoOpinion())
    """
    check_for_channels(prior, lambda part, channels: _check_prior(part, classes, channels))
    assert_can_be_saved(prior)


def _check_prior(prior: Prior, classes: int, channels: tuple[str, ...]) -> None:
    batches = [
        samples.batch(classes, slices, dtype, channels) for slices in (1, 5) for dtype in DTYPES
    ]
    fitted = prior.fit(iter(batches[-2:]))
    assert type(fitted) is type(prior), f"fit returns {fitted!r}"
    assert fitted == prior.fit(iter(batches[-2:])), "two fits to the same slices differ"
    for each, batch in product((prior, fitted), [*batches, samples.without_region(batches[0])]):
        phi = repeated_result(each, batch, replace(batch, image=-batch.image))
        assert_probability("phi", phi, batch)
        _check_other_images(each, batch, phi)
        assert_any_order("phi", each, batch, phi)
        assert_equal_on_accelerators(each, batch, phi)
    assert_can_be_saved(fitted)
    _check_refit(fitted, classes, channels)


@keeps_no_state
def check_estep(estep: EStep, classes: int = 2) -> None:
    """Check that `estep`, after `fit`, follows the contract of `EStep`, for both class relations.

    It is checked on images with one channel and with three; it may reject one of them with
    `InputError`.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import EStep, make
        >>> from wsseg.testing import check_estep
        >>> check_estep(make(EStep, "soft"))
    """
    check_for_channels(estep, lambda part, channels: _check_estep(part, classes, channels))
    assert_can_be_saved(estep)


def _check_estep(estep: EStep, classes: int, channels: tuple[str, ...]) -> None:
    to_fit = [samples.evidence_to_fit(classes, channels)] * 2
    fitted = estep.fit(iter(to_fit))
    assert type(fitted) is type(estep), f"fit returns {fitted!r}"
    assert fitted == estep.fit(iter(to_fit)), "two fits to the same slices differ"
    relations = (Multilabel(), Multiclass())
    for dtype, labels, progress in product(DTYPES, relations, (0.0, 0.5, 1.0)):
        first = replace(
            samples.evidence(classes, dtype, channels), labels=labels, progress=progress
        )
        memory = _memory(fitted, first)
        empty = replace(first, batch=samples.without_region(first.batch))
        for evidence in (first, empty):
            for remembered in [{}, memory] if memory else [memory]:
                _check_targets(fitted, replace(evidence, memory=remembered))
    for labels in relations:
        weak = replace(samples.weak_evidence(classes, torch.float32, channels), labels=labels)
        _check_targets(fitted, replace(weak, memory=_memory(fitted, weak)))
    assert_can_be_saved(fitted)


@keeps_no_state
def check_backbone(backbone: Backbone, slices: int = 5, classes: int = 2) -> None:
    """Check that `backbone` follows the contract of `Backbone`.

    It is built for `slices` and `classes`, and for one slice of an image with one channel or with
    three, and one class.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from torch import nn
        >>> from wsseg import Backbone
        >>> from wsseg.testing import check_backbone
        >>> class Pixelwise(Backbone):
        ...     def build(self, channels: int, classes: int) -> nn.Module:
        ...         return nn.Conv2d(channels, classes, kernel_size=1)
        >>> check_backbone(Pixelwise())
    """
    for planes, k in {(slices, classes), (1, 1), (3, 1)}:
        net = _built(backbone, planes, k)
        for height, width in SIZES:
            image = samples.noise(2, planes, height, width)
            logits = repeated_result(net.eval(), image, -image)
            assert logits.shape == (2, k, height, width), (
                f"logits of {(2, planes, height, width)} are {tuple(logits.shape)}"
            )
            assert_independent_images("logits (in evaluation mode)", net, image, logits)
        assert_equal_on_accelerators(net, image, logits)
        _check_weights(backbone, planes, k, net, image)
        for images, height, width in TRAINING_SIZES:
            _check_learning(net, samples.noise(images, planes, height, width))
    assert_can_be_saved(backbone)


@keeps_no_state
def check_encoder_weights(weights: EncoderWeights) -> None:
    """Check that `weights` follow the contract of `EncoderWeights` and fit their encoders.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from collections.abc import Mapping
        >>> import torch
        >>> from torch import Tensor
        >>> from wsseg import EncoderWeights
        >>> from wsseg.testing import check_encoder_weights
        >>> class Ones(EncoderWeights):
        ...     def tensors(self) -> Mapping[str, Tensor]:
        ...         return {"conv.weight": torch.ones(8, 3, 3, 3)}
        >>> check_encoder_weights(Ones())
    """
    tensors = weights.tensors()
    assert tensors, "there are no tensors"
    for name, tensor in tensors.items():
        assert isinstance(tensor, Tensor), f"{name} is {type(tensor).__name__}, not a Tensor"
        assert tensor.isfinite().all(), f"{name} has values that are not finite"
    for path in weights.files():
        assert path.is_file(), f"there is no file {path}"
    for encoder in weights.encoders:
        for planes in (1, 3):
            Smp(encoder=encoder, weights=weights).build(planes, 1)
    assert_can_be_saved(weights)


@keeps_no_state
def check_loss(loss: PixelLoss, classes: int = 2) -> None:
    """Check that `loss` follows the contract of `PixelLoss`, for both class relations.

    Logits are up to 500, and some targets have no positive pixels. The loss must decrease as the
    network approaches the targets, unless it ignores them.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import PixelLoss, make
        >>> from wsseg.testing import check_loss
        >>> check_loss(make(PixelLoss, "smooth-dice"))
    """
    batch = samples.batch(classes, 1, torch.float32)
    empty = samples.without_region(batch)
    for relation in (Multilabel(), Multiclass()):
        targets = _targets(relation, batch)
        for dtype, y, scale in product(DTYPES, targets, (-500, 1, 500)):
            logits = (scale * (2 * y - 1)).to(dtype)
            for images in (batch, empty):
                assert_differentiable(loss, (logits, y.to(dtype), images, relation), images.region)
        y = targets[0]
        as_y = 18 * y - 9
        right, between, wrong = (loss(s * as_y, y, batch, relation) for s in (1, 0, -1))
        ignores_targets = len({loss(as_y, each, batch, relation).item() for each in targets}) == 1
        assert ignores_targets or right < between < wrong, (
            "the loss does not decrease as f approaches y"
        )
        other_logits, other_y = as_y.where(batch.region, 9), y.where(batch.region, 0)
        changed = [loss(other_logits, y, batch, relation), loss(as_y, other_y, batch, relation)]
        assert changed == [right, right], "the loss depends on pixels outside the region"
    assert_can_be_saved(loss)


@keeps_no_state
def check_tag_loss(loss: TagLoss, classes: int = 2) -> None:
    """Check that `loss` follows the contract of `TagLoss`, including for logits far from 0.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import TagLoss, make
        >>> from wsseg.testing import check_tag_loss
        >>> check_tag_loss(make(TagLoss, "noisy-or", instances=10))
    """
    batch = samples.batch(classes, 1, torch.float32)
    for dtype, scale in product(DTYPES, (0, 1, 1000)):
        logits = (scale * samples.noise(*batch.support.shape)).to(dtype)
        for images in (batch, samples.without_region(batch)):
            assert_differentiable(loss, (logits, images.tags, images.region), images.region)
        possible = loss.possible(logits, batch.region)
        is_mask = possible.shape == logits.shape and possible.dtype == torch.bool
        assert is_mask, f"possible returns {tuple(possible.shape)}, {possible.dtype}, not a mask"
    as_tagged = batch.support * 18.0 - 9
    right, between, wrong = (loss(s * as_tagged, batch.tags, batch.region) for s in (1, 0, -1))
    assert right < between < wrong, "the loss does not decrease as more pixels agree with the tag"
    changed = loss(as_tagged.where(batch.region, 9), batch.tags, batch.region)
    assert torch.equal(changed, right), "the loss depends on pixels outside the region"
    assert_can_be_saved(loss)


@keeps_no_state
def check_method(method: Method, classes: int = 2) -> None:
    """Check that `method` follows the contract of `Method`, for both class relations.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from torch import Tensor
        >>> from wsseg import Evidence, Logits, Method
        >>> from wsseg.testing import check_method
        >>> class Consistent(Method):
        ...     def __call__(self, logits: Logits, evidence: Evidence) -> Tensor:
        ...         other = (logits.float() - evidence.logits.float()).square()
        ...         return other.where(evidence.batch.region, 0).mean()
        >>> check_method(Consistent())
    """
    sample = samples.evidence(classes, torch.float32)
    batch = sample.batch.middle_slices()
    belief, half = sample.logits.detach(), torch.full_like(sample.phi, 0.5)
    for dtype, relation, scale in product(DTYPES, (Multilabel(), Multiclass()), (0, 1, 25)):
        logits = (scale * samples.noise(*belief.shape)).to(dtype)
        for images, progress in product((batch, samples.without_region(batch)), (0.0, 1.0)):
            evidence = Evidence(images, belief, half, relation, progress=progress, epoch=1)
            assert_differentiable(method, (logits, evidence), images.region)
    assert_can_be_saved(method)


@keeps_no_state
def check_optimizer(optimizer: Optimizer) -> None:
    """Check that `optimizer` follows the contract of `Optimizer`.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import Optimizer, make
        >>> from wsseg.testing import check_optimizer
        >>> check_optimizer(make(Optimizer, "sgd", lr=0.1))
    """
    net, resumed = nn.Linear(4, 1), nn.Linear(4, 1)
    x = samples.noise(8, 4)
    built = optimizer.build([{"params": [each], "lr": 0.1} for each in net.parameters()])
    assert isinstance(built, torch.optim.Optimizer), f"build returns {built!r}, not an optimizer"
    assert [g["lr"] for g in built.param_groups] == [0.1, 0.1], "the `lr` of a group is ignored"
    for _ in range(3):
        _step(built, net, x)
    state = built.state_dict()
    for name, value in (pair for each in state["state"].values() for pair in each.items()):
        saved = value is None or isinstance(value, Tensor)
        assert saved, f"the state {name} is {type(value).__name__}, not a Tensor"
    resumed.load_state_dict(net.state_dict())
    again = optimizer.build([{"params": [each], "lr": 0.1} for each in resumed.parameters()])
    again.load_state_dict(copy.deepcopy(state))
    _step(built, net, x)
    _step(again, resumed, x)
    assert all(map(torch.equal, net.parameters(), resumed.parameters())), (
        "with restored state, the next step differs"
    )
    before = [each.clone() for each in net.parameters()]
    for group in built.param_groups:
        group["lr"] = 0.0
    _step(built, net, x)
    assert all(map(torch.equal, net.parameters(), before)), "weights change even if `lr` is 0"
    assert_can_be_saved(optimizer)


def _check_refit(prior: Prior, classes: int, channels: tuple[str, ...]) -> None:
    """Check a prior's `refit`, and the phi of the prior that it returns."""
    sample = samples.evidence(classes, torch.float32, channels)
    evidence = replace(sample, logits=sample.logits.detach(), phi=prior(sample.batch))
    refitted = prior.refit(iter([evidence] * 2))
    assert type(refitted) is type(prior), f"refit returns {refitted!r}"
    assert refitted == prior.refit(iter([evidence] * 2)), "two refits to the same evidence differ"
    if refitted != prior:
        assert prior.refits, "refit changes the prior, but `refits` is False"
        assert_probability("phi after refit", refitted(sample.batch), sample.batch)
        assert_can_be_saved(refitted)


def _check_targets(estep: EStep, evidence: Evidence) -> None:
    other = replace(evidence, logits=-evidence.logits)
    y = repeated_result(estep, evidence, other)
    assert_probability("y", y, evidence.batch)
    assert not y[~evidence.batch.support].any(), "y is not 0 outside the support"
    if isinstance(evidence.labels, Multiclass):
        assert y.float().sum(1).max() <= 1 + tolerance(y), "exclusive classes add up to over 1"
    assert_any_order("y", estep, evidence, y)
    if estep.separates_images:
        assert_independent_images("y", estep, evidence, y)
    assert_equal_on_accelerators(estep, evidence, y)


def _memory(estep: EStep, evidence: Evidence) -> Mapping[str, Tensor]:
    """Return what an E-step remembers; check that it is repeatable and can be saved."""
    with torch.no_grad():
        first, second = estep.remember(evidence), estep.remember(evidence)
    for name, value in first.items():
        assert isinstance(name, str), f"remember returns the name {name!r}, not a string"
        assert isinstance(value, Tensor), f"remember returns {name} as {type(value).__name__}"
        same = first.keys() == second.keys() and torch.equal(value, second[name])
        assert same, f"the {name} that remember returns changes from call to call"
    return first


def _check_other_images(prior: Prior, batch: Batch, phi: Probability) -> None:
    """Check that phi of an image does not change with the pixels of the other images.

    It may depend on the tags and the regions of the batch.
    """
    atol = tolerance(phi) * phi.float().std().item()
    for i in range(len(batch.image)):
        own = (torch.arange(len(batch.image)) == i).reshape(-1, 1, 1, 1, 1)
        changed = prior(replace(batch, image=batch.image.where(own, -batch.image)))
        close = torch.allclose(changed[i].float(), phi[i].float(), atol=atol)
        assert close, "phi of an image depends on the pixels of the other images of its batch"


def _step(optimizer: torch.optim.Optimizer, net: nn.Module, x: Tensor) -> None:
    optimizer.zero_grad()
    (net(x) - 1).square().mean().backward()
    optimizer.step()


def _targets(relation: ClassRelation, batch: Batch) -> list[Tensor]:
    """Return binary targets, probabilities, targets without any class and only of the first."""
    logits = samples.noise(*batch.support.shape)
    nothing = torch.zeros_like(logits)
    first = nothing.clone()
    first[:, 0] = 1
    return [relation.decide(logits).float(), relation.probability(logits), nothing, first]


def _check_weights(
    backbone: Backbone, planes: int, classes: int, net: nn.Module, image: Tensor
) -> None:
    """Check that builds share no weights, and that equal weights give equal logits."""
    other = backbone.build(planes, classes).eval()
    own = {parameter.data_ptr() for parameter in net.parameters()}
    assert own, "the module has no parameters"
    shared = any(parameter.data_ptr() in own for parameter in other.parameters())
    assert not shared, "two builds share weights"
    other.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert torch.equal(other(image), net(image)), (
            "two modules with the same weights give different logits"
        )


def _check_learning(net: nn.Module, image: Tensor) -> None:
    """Check gradients in training mode with bfloat16 and channels_last, as the trainer uses."""
    net = to_channels_last(copy.deepcopy(net)).train()
    with torch.autocast("cpu", torch.bfloat16):
        returned = net(image.to(memory_format=torch.channels_last))
    outputs = (
        (returned.logits, *returned.auxiliary) if isinstance(returned, Outputs) else [returned]
    )
    given = tuple(image.shape[-2:])
    for logits in outputs:
        size = tuple(logits.shape[-2:])
        assert size == given, f"logits of {given} pixels have {size} pixels"
        assert logits.shape == outputs[0].shape, "auxiliary logits have another shape than logits"
        assert logits.isfinite().all(), "logits in bfloat16 are not finite everywhere"
        assert logits.requires_grad, "no gradient reaches the weights"
    noise = samples.noise(*outputs[0].shape)
    torch.stack([(logits.float() * noise).sum() for logits in outputs]).sum().backward()
    gradients = [each.grad for each in net.parameters() if each.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients), "gradients are not finite"
    assert any(gradient.any() for gradient in gradients), "no gradient reaches the weights"


def _built(backbone: Backbone, planes: int, classes: int) -> nn.Module:
    """Build a module; check that its weights depend only on the seed."""
    states = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = backbone.build(planes, classes)
        states.append(list(net.state_dict().values()))
    assert all(map(torch.equal, *states)), "two builds with the same seed have different weights"
    return net
