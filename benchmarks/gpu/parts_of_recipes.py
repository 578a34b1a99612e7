"""E-steps and losses that are installed, and random inputs for them."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from wsseg.components.registry import registry
from wsseg.core.batch import Batch, Evidence
from wsseg.core.component import Component
from wsseg.core.interfaces import EStep, PixelLoss, TagLoss
from wsseg.testing.conformance import example
from wsseg.testing.samples import evidence_to_fit

IMAGES, CLASSES, SLICES, PIXELS = 4, 2, 7, 64


def components(kind: type[Component]) -> Iterator[tuple[str, Any]]:
    """Yield the name of each installed component of a kind, and it with its example parameters.

    E-steps are fitted.
    """
    for name in registry().names(kind):
        part = registry().make(kind, name, **example(registry().find(kind, name)))
        yield name, part.fit([evidence_to_fit(CLASSES)]) if isinstance(part, EStep) else part


def random_evidence() -> Evidence:
    """Return float64 evidence of two classes, so that rounding changes no decision."""
    generator = torch.Generator().manual_seed(0)

    def noise(channels: int) -> Tensor:
        shape = (IMAGES, channels, PIXELS, PIXELS)
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    batch = Batch(
        image=-400 + 300 * noise(SLICES)[:, None],
        region=noise(1) > -1,
        tags=torch.ones(IMAGES, CLASSES, dtype=torch.bool),
    )
    return Evidence(batch, logits=4 * noise(CLASSES), phi=noise(CLASSES).sigmoid())


def result(part: EStep, evidence: Evidence, where: torch.device) -> Tensor:
    """Return the targets of an E-step, computed on a device."""
    return part(_moved(evidence, where))


def loss_and_gradient(part: PixelLoss | TagLoss, evidence: Evidence, where: torch.device) -> Tensor:
    """Return a loss and its gradient, scaled by the number of pixels, computed on a device."""
    moved = _moved(evidence, where)
    logits = moved.logits.requires_grad_()
    if isinstance(part, TagLoss):
        loss = part(logits, moved.batch.tags, moved.batch.region)
    else:
        loss = part(logits, moved.phi, moved.batch, moved.labels)
    (gradient,) = torch.autograd.grad(loss, logits)
    return torch.cat([loss.detach()[None], logits.numel() * gradient.flatten()])


def _moved(value: Any, where: torch.device) -> Any:
    """Return a dataclass with copies of its tensors on a device."""
    if isinstance(value, Tensor):
        return value.to(where, copy=True)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return replace(value, **{f.name: _moved(getattr(value, f.name), where) for f in fields(value)})
