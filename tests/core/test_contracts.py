"""Results of components that break the contract of their interface."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import wsseg
from wsseg.components.tag_losses import NoisyOr
from wsseg.core.contracts import (
    ContractError,
    built_module,
    cases_and_problems,
    cases_of,
    check_fitted,
    check_logits,
    check_loss,
    check_possible,
    check_probability,
    metric_columns,
    region_files,
    region_mask,
    score_value,
)
from wsseg.testing import samples

VOLUME = samples.volume()
CASE = wsseg.Case("a", "a", Path("a.nii.gz"))
SHAPE = VOLUME.shape


class Returns(wsseg.Region):
    """Returns a fixed value, and has a fixed list of files."""

    value: Any = None
    listed: Any = ()

    def __call__(self, case: wsseg.Case, volume: wsseg.Volume) -> Any:  # noqa: ARG002
        return self.value

    def files(self, case: wsseg.Case) -> Any:  # noqa: ARG002
        return self.listed


class Lists(wsseg.Cohort):
    """Lists fixed cases."""

    listed: Any

    def cases(self) -> Any:
        return self.listed


class Constant(wsseg.Prior):
    """Returns a fixed value from `fit`."""

    fitted: Any = None

    def __call__(self, batch: wsseg.Batch) -> Tensor:
        return batch.support * 0.5

    def fit(self, batches: Any) -> Any:  # noqa: ARG002
        return self.fitted


class Builds(wsseg.Backbone):
    """Builds a fixed value."""

    value: Any = None

    def build(self, channels: int, classes: int) -> Any:  # noqa: ARG002
        return self.value


class Agreement(wsseg.Metric):
    """Is never called."""

    def __call__(self, *_: object) -> Any:
        raise NotImplementedError


class Volume(wsseg.Score):
    """Is never called."""

    @property
    def needs(self) -> frozenset[str]:
        return frozenset()

    def __call__(self, masks: object) -> float:
        raise NotImplementedError


def message(*words: object) -> str:
    """Return a pattern for an error that has these words in this order."""
    return ".*".join(re.escape(str(word)) for word in words)


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (None, "None"),
        (np.ones(SHAPE), "an array of float64 (8, 32, 32)"),
        (np.ones(SHAPE, np.uint8), "an array of uint8 (8, 32, 32)"),
        (np.ones(SHAPE[1:], np.bool_), "an array of bool (32, 32)"),
        (np.ones((7, 32, 32), np.bool_), "an array of bool (7, 32, 32)"),
        (torch.ones(SHAPE, dtype=torch.bool), "a tensor of bool (8, 32, 32)"),
        ([[[True]]], "a list"),
    ],
)
def test_a_region_that_does_not_return_a_bool_array_of_the_scans_shape_is_named(
    mask: object, found: str
) -> None:
    expected = message("Returns (", ")", f"returns {found} for case a", "bool", SHAPE)
    with pytest.raises(ContractError, match=expected):
        region_mask(Returns(value=mask), CASE, VOLUME)


def test_a_mask_and_files_that_keep_the_contract_are_returned_unchanged() -> None:
    mask = VOLUME.channel() > 0
    region = Returns(value=mask, listed=[Path("b")])
    assert region_mask(region, CASE, VOLUME) is mask
    assert region_files(region, CASE) == (Path("b"),)


@pytest.mark.parametrize("files", ["b.nii.gz", ("b.nii.gz",), None, Path("b.nii.gz")])
def test_a_region_whose_files_are_not_paths_is_named(files: object) -> None:
    with pytest.raises(ContractError, match=message("Returns", repr(files), "tuple of paths")):
        region_files(Returns(listed=files), CASE)


IMAGE = torch.zeros(4, 3, 8, 6)


@pytest.mark.parametrize(
    ("logits", "found"),
    [
        (torch.zeros(4, 1, 8, 6), "a tensor of float32 (4, 1, 8, 6)"),
        (torch.zeros(4, 2, 4, 3), "a tensor of float32 (4, 2, 4, 3)"),
        (torch.zeros(1, 2, 8, 6), "a tensor of float32 (1, 2, 8, 6)"),
        (torch.zeros(4, 2, 8, 6, dtype=torch.int64), "a tensor of int64 (4, 2, 8, 6)"),
        ({"out": torch.zeros(4, 2, 8, 6)}, "a dict"),
        ([torch.zeros(4, 2, 8, 6)], "a list"),
        (None, "None"),
    ],
)
def test_the_backbone_is_named_if_its_logits_have_another_shape_or_type(
    logits: object, found: str
) -> None:
    with pytest.raises(ContractError, match=message("Net", found, "logits", (4, 2, 8, 6))):
        check_logits("Net", logits, IMAGE, classes=2)


def test_logits_in_any_floating_point_type_are_accepted() -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        logits = torch.zeros(4, 2, 8, 6, dtype=dtype)
        assert check_logits("Net", logits, IMAGE, classes=2) is logits


@pytest.mark.parametrize("built", [None, nn.Conv2d, "unet"])
def test_a_backbone_that_does_not_build_a_module_is_named(built: object) -> None:
    with pytest.raises(ContractError, match=message("Builds", "torch.nn.Module")):
        built_module(Builds(value=built), 1, 1)


@pytest.mark.parametrize("returned", [None, 0.5, torch.zeros(1), torch.ones(3, 2, 16, 12).bool()])
def test_the_prior_is_named_if_phi_is_not_a_floating_point_tensor_of_the_batch(
    returned: object,
) -> None:
    batch = samples.batch(2, 1, torch.float32)
    with pytest.raises(ContractError, match=message("Constant", "phi", (3, 2, 16, 12))):
        check_probability(Constant(), returned, batch)


@pytest.mark.parametrize("fitted", [None, 0.5, Agreement()])
def test_the_prior_is_named_if_fit_does_not_return_a_prior_of_its_class(fitted: object) -> None:
    with pytest.raises(ContractError, match=message("Constant", "fit", "Constant")):
        check_fitted(Constant(), fitted)
    assert check_fitted(Constant(), Constant(fitted=1)) == Constant(fitted=1)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0.5, "0.5"),
        (None, "None"),
        (torch.zeros(4, requires_grad=True), "a tensor of float32 (4,)"),
        (torch.tensor(1), "a tensor of int64 ()"),
        (torch.tensor(1.0), "without a gradient"),
    ],
)
def test_a_loss_that_is_not_a_scalar_with_a_gradient_is_named(value: object, found: str) -> None:
    with pytest.raises(ContractError, match=message("NoisyOr", found)):
        check_loss(NoisyOr(instances=2), value)


@pytest.mark.parametrize("mask", [None, torch.ones(4, 1, 8, 6).bool(), torch.ones(4, 2, 8, 6)])
def test_the_loss_is_named_if_its_possible_pixels_are_not_a_mask_of_the_logits(
    mask: object,
) -> None:
    with pytest.raises(ContractError, match=message("NoisyOr", "possible", (4, 2, 8, 6))):
        check_possible(NoisyOr(instances=2), mask, torch.zeros(4, 2, 8, 6))


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ([0.5], "a list"),
        (0.5, "0.5"),
        (None, "None"),
        ({"dice": [0.5]}, "'dice' as a list"),
        ({"dice": None}, "'dice' as None"),
        ({"dice": "0.5"}, "'dice' as '0.5'"),
        ({"dice": np.ones(2)}, "'dice' as an array of float64 (2,)"),
        ({"dice": float("inf")}, "'dice' as inf"),
        ({1: 0.5}, "a column 1"),
        ({"": 0.5}, "a column ''"),
    ],
)
def test_a_metric_that_does_not_return_a_dict_of_numbers_is_named(
    returned: object, words: str
) -> None:
    with pytest.raises(ContractError, match=message("Agreement", words)):
        metric_columns(Agreement(), returned)


def test_numpy_numbers_become_python_numbers_of_the_same_value() -> None:
    returned = {"a": np.float32(0.1), "b": np.int64(3), "c": 7, "d": 0.25, "e": float("nan")}
    columns = metric_columns(Agreement(), returned)
    assert [type(value) for value in columns.values()] == [float, int, int, float, float]
    assert list(columns.values())[:4] == [float(np.float32(0.1)), 3, 7, 0.25]
    assert score_value(Volume(), np.float64(2.5)) == 2.5


@pytest.mark.parametrize("value", [None, "1", [1.0], float("inf"), np.ones(1)])
def test_a_score_that_is_not_a_finite_number_is_named(value: object) -> None:
    with pytest.raises(ContractError, match=message("Volume", "finite number")):
        score_value(Volume(), value)


def changed(**changes: Any) -> list[wsseg.Case]:
    """A list with a case that breaks its type hints."""
    return [replace(CASE, **changes)]


def generated() -> Iterator[wsseg.Case]:
    yield CASE


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        (None, "None"),
        (generated(), "a generator"),
        ("abc", "'abc'"),
        ([CASE, "b"], "a list"),
        (changed(name="a/b"), "case 'a/b', whose name"),
        (changed(name=7), "case 7, whose name"),
        (changed(patient=None), "patient is None"),
        (changed(split="training"), "split is 'training'"),
        (changed(image="a.nii.gz"), "image is 'a.nii.gz'"),
        (changed(masks={"lesion": "m.nii.gz"}), "lesion is 'm.nii.gz'"),
        (changed(tags={"lesion": "1"}), "tag 'lesion' is '1'"),
        (changed(tags={"lesion": float("nan")}), "tag 'lesion' is nan"),
        (changed(slice_tags={0: {"lesion": 2}}), "tag 'lesion' is 2"),
    ],
)
def test_a_cohort_with_an_invalid_case_is_named(cases: object, words: str) -> None:
    for entry in (cases_of, cases_and_problems):
        with pytest.raises(ContractError, match=message("Lists", words)):
            entry(Lists(listed=cases))


def test_a_cohort_with_two_cases_of_the_same_name_is_named() -> None:
    with pytest.raises(ContractError, match=message("Lists", "two cases called 'a'")):
        cases_of(Lists(listed=[CASE, replace(CASE, image=Path("b.nii.gz"))]))


def test_valid_cases_are_returned_as_they_are_listed() -> None:
    cases = [replace(CASE, tags={"lesion": None}), replace(CASE, name="b", split="test")]
    assert cases_of(Lists(listed=cases)) == cases
    assert cases_and_problems(Lists(listed=cases)) == (cases, [])


def test_the_message_names_the_class_its_package_and_the_command_that_checks_it() -> None:
    with pytest.raises(ContractError) as caught:
        score_value(Volume(), None)
    package = Volume.__module__.partition(".")[0]
    assert str(caught.value) == (
        f"Volume ({package}) returns None; it must return a finite number, or NaN for an "
        "undefined value.\nCheck the plugin: wsseg plugins check"
    )
