"""Checks of the results of components, made where the results enter wsseg.

A wrong result of a plugin would otherwise cause an error far from the plugin, or wrong numbers,
since tensors of other shapes are broadcast. These checks compare types and shapes, not values, so
they take almost no time. `wsseg.testing` has thorough checks.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsseg.core.augment import Augment, Planes, Stack
from wsseg.core.batch import Batch, Logits, Mask, Probability
from wsseg.core.case import SPLITS, Case, fits_file_names, repeated_names
from wsseg.core.component import Component
from wsseg.core.interfaces import (
    Backbone,
    Cohort,
    EStep,
    Method,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
)
from wsseg.core.volume import Volume
from wsseg.errors import InputError, WorkError

C = TypeVar("C", bound=Component)


class ContractError(WorkError):
    """A component returned something other than its interface requires."""

    def __init__(self, component: str, problem: str) -> None:
        super().__init__(f"{component} {problem}.\nCheck the plugin: wsseg plugins check")


def component_name(component: Component) -> str:
    """Return a component's class and the package that defines it, for messages."""
    kind = type(component)
    return f"{kind.__name__} ({kind.__module__.partition('.')[0]})"


def is_tag(value: object) -> bool:
    """Return whether a value is a tag: a bool, None or a probability from 0 to 1."""
    return value is None or (isinstance(value, Real | np.bool_) and 0 <= float(value) <= 1)


def built_module(backbone: Backbone, channels: int, classes: int) -> nn.Module:
    """Return the module that a backbone builds.

    Raises:
        ContractError: It is not a module.
    """
    module = backbone.build(channels, classes)
    if not isinstance(module, nn.Module):
        raise ContractError(
            component_name(backbone),
            f"returns {_description(module)} from build(); it must return a torch.nn.Module",
        )
    return module


def check_logits(backbone: str, logits: object, image: Tensor, classes: int) -> Logits:
    """Return the logits of `image`, (B, ..., H, W), after a check of their type and shape.

    Raises:
        ContractError: They are not a floating-point tensor of shape (B, K, H, W).
    """
    expected = (image.shape[0], classes, *image.shape[-2:])
    return _float_tensor(backbone, "logits", logits, expected)


def check_probability(part: Prior | EStep, returned: object, batch: Batch) -> Probability:
    """Return the result of a prior or an E-step after a check of its type and shape.

    Raises:
        ContractError: It is not a floating-point tensor of the shape of the batch's support.
    """
    what = "phi" if isinstance(part, Prior) else "targets"
    return _float_tensor(component_name(part), what, returned, tuple(batch.support.shape))


def check_augmented(
    augment: Augment, returned: object, image: Stack, masks: Planes
) -> tuple[Stack, Planes]:
    """Return the result of an augmentation after a check of its types and shapes.

    Raises:
        ContractError: It is not an image and masks like those that were given.
    """
    pair = returned if isinstance(returned, tuple) else (returned,)
    expected = [f"array of {each.shape}, {each.dtype}" for each in (image, masks)]
    found = [
        f"array of {each.shape}, {each.dtype}" if isinstance(each, np.ndarray) else repr(each)
        for each in pair
    ]
    if found != expected:
        raise ContractError(
            component_name(augment),
            f"returns ({', '.join(found)}); it must return ({', '.join(expected)})",
        )
    return pair[0], pair[1]


def check_memory(estep: EStep, returned: object) -> dict[str, Tensor]:
    """Return what an E-step remembers, detached, after a check of its type.

    Raises:
        ContractError: It is not a dict from names to tensors.
    """
    if isinstance(returned, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in returned.items()
    ):
        return {name: value.detach() for name, value in returned.items()}
    raise ContractError(
        component_name(estep),
        f"returns {_description(returned)} from remember(); it must return a dict of names to "
        "tensors",
    )


def check_fitted(part: C, fitted: object) -> C:
    """Return the result of `fit` or `refit` of a prior or an E-step after a check of its type.

    Raises:
        ContractError: It is not of the same class.
    """
    if type(fitted) is not type(part):
        raise ContractError(
            component_name(part),
            f"returns {_description(fitted)} from fit(); it must return a {type(part).__name__}",
        )
    return fitted


def check_loss(loss: PixelLoss | TagLoss | Method, value: object) -> Tensor:
    """Return the value of a loss or a method after a check that it is a scalar with a gradient.

    Raises:
        ContractError: It is not a scalar tensor with a gradient.
    """
    scalar = _float_tensor(component_name(loss), "a loss", value, ())
    if not scalar.requires_grad:
        raise ContractError(
            component_name(loss), "returns a loss without a gradient; it must not detach the logits"
        )
    return scalar


def check_possible(loss: TagLoss, mask: object, logits: Logits) -> Mask:
    """Return the result of `TagLoss.possible` after a check of its type and shape.

    Raises:
        ContractError: It is not a bool tensor of the shape of `logits`.
    """
    if isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.shape == logits.shape:
        return mask
    raise ContractError(
        component_name(loss),
        f"returns {_description(mask)} from possible(); it must return a bool tensor of shape "
        f"(B, K, H, W) = {tuple(logits.shape)}",
    )


def region_mask(region: Region, case: Case, volume: Volume) -> NDArray[np.bool_]:
    """Return the mask that a region finds, (Z, H, W).

    Raises:
        ContractError: It is not a bool array of the volume's shape.
    """
    mask: object = region(case, volume)
    expected = volume.shape
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == expected:
        return mask
    raise ContractError(
        component_name(region),
        f"returns {_description(mask)} for case {case.name}; it must return a bool NumPy array of "
        f"shape (Z, H, W) = {expected}",
    )


def region_files(region: Region, case: Case) -> tuple[Path, ...]:
    """Return the files that a region reads in addition to the image.

    Raises:
        ContractError: They are not a tuple or list of paths.
    """
    files: object = region.files(case)
    if isinstance(files, tuple | list) and all(isinstance(each, Path) for each in files):
        return tuple(files)
    raise ContractError(
        component_name(region), f"returns {files!r} from files(); it must return a tuple of paths"
    )


def cases_of(cohort: Cohort) -> list[Case]:
    """Return the cases of a cohort.

    Raises:
        InputError: The cohort cannot be read.
        ContractError: They are not a list of valid cases with different names.
    """
    cases = _checked_cases(cohort, cohort.cases())
    if repeated := repeated_names(cases):
        raise ContractError(
            component_name(cohort),
            f"lists two cases called {repeated[0]!r}; each case needs its own name",
        )
    return cases


def cases_and_problems(cohort: Cohort) -> tuple[list[Case], list[tuple[str, InputError]]]:
    """Return the valid cases of a cohort, and each problem with the name of its case.

    Raises:
        InputError: The cohort cannot be read.
        ContractError: The cases are not a list of valid cases.
    """
    cases, problems = cohort.read()
    return _checked_cases(cohort, cases), problems


def metric_columns(metric: Metric, returned: object) -> dict[str, float]:
    """Return the values that a metric computed, as Python's numbers.

    Raises:
        ContractError: They are not a dict from names to finite numbers or NaN.
    """
    if not isinstance(returned, Mapping):
        raise ContractError(
            component_name(metric),
            f"returns {_description(returned)}; it must return a dict of names to numbers",
        )
    for name in returned:
        if not (isinstance(name, str) and name):
            raise ContractError(
                component_name(metric),
                f"names a column {name!r}; the name must be a non-empty string",
            )
    return {name: _number(metric, f"{name!r} as ", value) for name, value in returned.items()}


def score_value(score: Score, returned: object) -> float:
    """Return the value of a score, as a Python number.

    Raises:
        ContractError: It is neither a finite number nor NaN.
    """
    return _number(score, "", returned)


def _float_tensor(component: str, what: str, value: object, expected: tuple[int, ...]) -> Tensor:
    if isinstance(value, Tensor) and value.is_floating_point() and value.shape == expected:
        return value
    shape = f"(B, K, H, W) = {expected}" if expected else "() (a scalar)"
    raise ContractError(
        component,
        f"returns {_description(value)} as {what}; it must return a floating-point tensor of shape "
        f"{shape}",
    )


def _number(component: Component, what: str, value: object) -> float:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, Real) and not math.isinf(plain):
        number: float = plain  # type: ignore[assignment]  # an int or a bool keeps its type
        return number
    raise ContractError(
        component_name(component),
        f"returns {what}{_description(plain)}; it must return a finite number, or NaN for an "
        "undefined value",
    )


def _checked_cases(cohort: Cohort, cases: object) -> list[Case]:
    if not isinstance(cases, Sequence) or not all(isinstance(each, Case) for each in cases):
        raise ContractError(
            component_name(cohort),
            f"returns {_description(cases)} from cases(); it must return a list of cases",
        )
    for case in cases:
        if problem := _case_problem(case):
            raise ContractError(component_name(cohort), f"lists case {case.name!r}, {problem}")
    return list(cases)


def _case_problem(case: Case) -> str:
    """Return what is wrong with a case, or ''."""
    if not isinstance(case.name, str) or not fits_file_names(case.name):
        return "whose name cannot be part of a file name"
    if not (isinstance(case.patient, str) and case.patient):
        return f"whose patient is {case.patient!r}, not a text"
    if case.split not in SPLITS:
        return f"whose split is {case.split!r}, not 'train', 'val', 'test' or ''"
    for what, path in {"image": case.image, **case.images, **case.masks, **case.scribbles}.items():
        if not isinstance(path, Path):
            return f"whose {what} is {path!r}, not a path"
    return _tag_problem(case)


def _tag_problem(case: Case) -> str:
    """Return what is wrong with the tags and shares of a case, or ''."""
    for tags in (case.tags, *case.slice_tags.values()):
        for name, tag in tags.items():
            if not is_tag(tag):
                return f"whose tag {name!r} is {tag!r}, not True, False, None or a probability"
    for shares in (case.shares, *case.slice_shares.values()):
        for name, (low, high) in shares.items():
            if not 0 <= low <= high <= 1:
                return f"whose share of {name!r} is {low} to {high}, not from 0 to 1 and rising"
    return ""


def _description(value: object) -> str:
    """Return what a value is, in a few words."""
    match value:
        case Tensor():
            return f"a tensor of {str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
        case np.ndarray():
            return f"an array of {value.dtype} {value.shape}"
        case None | bool() | int() | float() | str():
            return repr(value)
        case _:
            return f"a {type(value).__name__}"
