"""Assertions about results that several conformance tests share."""

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from yaml import YAMLError

from wsseg.components.registry import UnsavableError, registry
from wsseg.core.batch import Batch, Evidence, Mask, Probability
from wsseg.core.channels import ONE_CHANNEL
from wsseg.core.component import Component
from wsseg.core.hidden_state import attributes_of, changed_attribute
from wsseg.errors import InputError
from wsseg.runtime import yaml12
from wsseg.testing import samples

T = TypeVar("T")
P = TypeVar("P", bound=Component)
R = ParamSpec("R")

SAVED_FORMATS: tuple[tuple[str, Callable[[Any], str], Callable[[str], Any]], ...] = (
    ("YAML", yaml12.dump, yaml12.load),  # recipe.yaml
    ("JSON", json.dumps, json.loads),  # stage.json
)


def assert_probability(name: str, value: Probability, batch: Batch) -> None:
    """Check that a tensor has the shape of the batch's support and values between 0 and 1."""
    expected = tuple(batch.support.shape)
    assert value.shape == expected, f"{name} is {tuple(value.shape)}, not (B, K, H, W) = {expected}"
    assert value.is_floating_point(), f"{name} is {value.dtype}, not floating-point"
    assert value.isfinite().all(), f"{name} is not finite everywhere{_if_empty(batch.region)}"
    assert value.min() >= 0, f"{name} has a minimum of {value.min():g}, below 0"
    assert value.max() <= 1, f"{name} has a maximum of {value.max():g}, above 1"


def keeps_no_state(check: Callable[Concatenate[P, R], None]) -> Callable[Concatenate[P, R], None]:
    """Decorate a check so that it also fails if the part changes one of its attributes."""

    @wraps(check)
    def checked(part: P, /, *args: R.args, **kwargs: R.kwargs) -> None:
        before = attributes_of(part)
        try:
            check(part, *args, **kwargs)
        finally:
            if changed := changed_attribute(part, before):
                name = ".".join((*changed[0], changed[1]))
                raise AssertionError(
                    f"the attribute {name} changes, which is not saved; a prior can return state "
                    "from refit, an E-step from remember"
                )

    return checked


def repeated_result(call: Callable[[T], Tensor], argument: T, other: T) -> Tensor:
    """Return the result of `call`; check that it is repeatable, without side effects or gradient.

    Between two equal calls, `call` is run on `other`, to detect hidden state.
    """
    before = copy.deepcopy(argument)
    with torch.no_grad():
        first, _, second = call(argument), call(other), call(argument)
    for result in (first, second):
        assert isinstance(result, Tensor), f"the result is a {type(result).__name__}, not a Tensor"
    assert _equal(first, second), "the result changes from call to call"
    unchanged = all(map(_equal, _tensors(before), _tensors(argument)))
    assert unchanged, "the call changes its input"
    assert not first.requires_grad, "the result requires a gradient, even inside torch.no_grad()"
    return first


def assert_independent_images(
    name: str, call: Callable[[T], Tensor], argument: T, result: Tensor
) -> None:
    """Check that each image alone gives the same result as in the batch, `result`."""
    atol = tolerance(result) * result.float().std().item()
    for i in range(len(result)):
        with torch.no_grad():
            alone = call(_image(argument, i))
        close = torch.allclose(alone[0].float(), result[i].float(), atol=atol)
        assert close, f"{name} of an image depends on the other images of its batch"


def assert_any_order(name: str, call: Callable[[T], Tensor], argument: T, result: Tensor) -> None:
    """Check that reversing the order of the images only reverses the order of the results."""
    atol = tolerance(result) * result.float().std().item()
    with torch.no_grad():
        reversed_result = call(_mapped(argument, lambda tensor: tensor.flip(0)))
    close = torch.allclose(reversed_result.flip(0).float(), result.float(), atol=atol)
    assert close, f"{name} of an image depends on the order of the images in its batch"


def assert_equal_on_accelerators(call: Any, argument: T, expected: Tensor) -> None:
    """Check that a function or module returns `expected` on each accelerator of this machine."""
    for device in accelerators():
        if isinstance(call, nn.Module):
            call = copy.deepcopy(call).to(device)
        with torch.no_grad():
            result = call(_moved(argument, device))
        assert result.device.type == device.type, (
            f"for inputs on {device}, the result is on {result.device}"
        )
        atol = 10 * tolerance(result)
        close = torch.allclose(result.cpu().float(), expected.float(), atol=atol)
        assert close, f"the result on {device} differs from that on the CPU"


def assert_differentiable(
    loss: Callable[..., Tensor], arguments: tuple[Tensor, *tuple[object, ...]], region: Tensor
) -> None:
    """Check that a loss is a finite float32 scalar with a finite gradient, 0 outside the region.

    The gradient is with respect to the first argument, the logits.
    """
    logits, *others = arguments[0].clone().requires_grad_(), *arguments[1:]
    value = loss(logits, *others)
    assert isinstance(value, Tensor), f"the loss is {value!r}, not a Tensor"
    assert value.shape == (), f"the loss is {tuple(value.shape)}, not a scalar"
    assert value.dtype == torch.float32, f"the loss is {value.dtype}, not float32"
    empty = _if_empty(region)
    assert value.isfinite(), f"the loss is {value:g}{empty}"
    assert value.requires_grad, f"the loss has no gradient{empty}"
    loss(-logits.detach(), *others)
    assert torch.equal(value, loss(logits, *others)), "the loss changes from call to call"
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient.isfinite().all(), f"the gradient is not finite everywhere{empty}"
    outside = ~region.expand_as(gradient)
    assert not gradient[outside].any(), "the gradient outside the region is not 0"
    for device in accelerators():
        value = loss(*(_moved(each, device) for each in (logits, *others)))
        assert value.device.type == device.type, (
            f"for inputs on {device}, the loss is on {value.device}"
        )


def assert_number(name: str, value: object) -> None:
    """Check that a value is a finite number or NaN."""
    assert isinstance(value, int | float), f"{name} is a {type(value).__name__}, not a number"
    assert not math.isinf(value), f"{name} is infinite; use NaN for undefined values"


def assert_can_be_saved(component: Component) -> None:
    """Check that a component is the same after it is written and read, as YAML and as JSON."""
    try:
        stored = registry().describe(component)
    except UnsavableError as error:
        raise AssertionError(str(error)) from error
    stored.pop("use", None)
    for name, write, read in SAVED_FORMATS:
        try:
            restored = type(component).model_validate(read(write(stored)), context=registry())
        except (TypeError, ValueError, YAMLError) as error:
            raise AssertionError(f"{stored} cannot be saved as {name}: {error}") from error
        assert restored == component, f"saved as {name}, {stored} is read as {restored!r}"


def check_for_channels(part: P, check: Callable[[P, tuple[str, ...]], None]) -> None:
    """Check a part on images with one channel and on images with three.

    For three channels, every field `channel` that is None is set to one of them, in the part and in
    the parts inside it.

    Raises:
        InputError: The part rejects both; it may reject one of them.
    """
    refused: list[InputError] = []
    for channels in (ONE_CHANNEL, samples.CHANNELS):
        try:
            check(part if len(channels) == 1 else _naming(part, channels[1]), channels)
        except InputError as error:
            refused.append(error)
        except (RuntimeError, ValueError, IndexError) as error:
            if len(channels) == 1:
                raise
            raise AssertionError(
                f"an image of {len(channels)} channels raises {type(error).__name__}: {error}. "
                "Add a field `channel` that selects one of them, or raise InputError"
            ) from error
    if len(refused) > 1:
        raise refused[0]


def _naming(value: T, channel: str) -> T:
    """Return a part, or a tuple of parts, with each field `channel` that is None set."""
    if isinstance(value, tuple):
        return tuple(_naming(each, channel) for each in value)  # type: ignore[return-value]
    if not isinstance(value, Component):
        return value
    fields = {name: getattr(value, name) for name in type(value).model_fields}
    changed = {name: _naming(each, channel) for name, each in fields.items()}
    if "channel" in fields and fields["channel"] is None:
        changed["channel"] = channel
    return value.model_copy(update=changed)


def accelerators() -> list[torch.device]:
    """Return the accelerators of this machine."""
    available = torch.accelerator.is_available()
    accelerator = torch.accelerator.current_accelerator() if available else None
    return [] if accelerator is None else [accelerator]


def tolerance(value: Tensor) -> float:
    """Return the tolerance of comparisons for the data type of a tensor."""
    return 1e-4 if value.dtype == torch.float32 else 2e-2


def _if_empty(region: Mask) -> str:
    return "" if region.any() else " for a batch with no pixel in the region"


def _image(value: T, i: int) -> T:
    """Return image `i` of a batch, as a batch of one."""
    return _mapped(value, lambda tensor: tensor[i : i + 1])


def _moved(value: T, device: torch.device) -> T:
    moved = _mapped(value, lambda tensor: tensor.to(device))
    if not isinstance(moved, Evidence):
        return moved
    memory = {name: tensor.to(device) for name, tensor in moved.memory.items()}
    return replace(moved, memory=memory)


def _equal(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal; NaN equals NaN."""
    return torch.equal(one.isnan(), other.isnan()) and torch.equal(
        one.nan_to_num(), other.nan_to_num()
    )


def _tensors(value: object) -> Iterator[Tensor]:
    """Yield the tensors in `value`, a tensor or a dataclass with tensors as fields."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))


def _mapped(value: T, change: Callable[[Tensor], Tensor]) -> T:
    """Return `value` with `change` applied to each tensor in it."""
    if isinstance(value, Tensor):
        return change(value)  # type: ignore[return-value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {each.name: _mapped(getattr(value, each.name), change) for each in fields(value)}
    return replace(value, **changes)
