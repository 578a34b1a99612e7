"""Conformance tests of regions, cohorts, metrics, scores, units and augmentation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from wsseg.config.columns import check_columns
from wsseg.core.augment import Augment
from wsseg.core.case import Case, fits_file_names
from wsseg.core.component import KeyProblemError
from wsseg.core.contracts import ContractError, check_augmented, is_tag
from wsseg.core.image_unit import ImageUnit
from wsseg.core.interfaces import Cohort, Metric, Region, Score
from wsseg.core.volume import Grid, Volume
from wsseg.testing import samples
from wsseg.testing.assertions import (
    assert_can_be_saved,
    assert_number,
    check_for_channels,
    keeps_no_state,
)

GRID = Grid((6, 6, 4), np.diag([0.7, 0.8, 5, 1]))


@keeps_no_state
def check_region(region: Region, case: Case | None = None, volume: Volume | None = None) -> None:
    """Check that `region` follows the contract of `Region`.

    Pass the `case` or the `volume` that the region needs. By default the case has no files, and the
    volume is a block of bright tissue, with a dark cavity, in dark surroundings. A volume of one
    channel is also checked with three; the region may reject one of them with `InputError`.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import Region, make
        >>> from wsseg.testing import check_region
        >>> check_region(make(Region, "nonzero"))
    """
    case = case or Case(name="sample", patient="sample", image=Path("sample.nii.gz"))
    volume = volume or samples.volume()
    blank = replace(volume, voxels=np.zeros_like(volume.voxels))
    volumes = {volume.channels: (volume, blank)}
    if len(volume.channels) == 1:
        volumes[samples.CHANNELS] = samples.with_channels(volume), samples.with_channels(blank)
        check_for_channels(region, lambda part, names: _check_region(part, case, volumes[names]))
    else:
        _check_region(region, case, (volume, blank))
    assert_can_be_saved(region)


def _check_region(region: Region, case: Case, volumes: Sequence[Volume]) -> None:
    found = []
    for each in volumes:
        voxels = each.voxels.copy()
        mask = region(case, each)
        assert isinstance(mask, np.ndarray), f"the mask is a {type(mask).__name__}"
        assert mask.dtype == np.bool_, f"the mask is {mask.dtype}, not bool"
        assert mask.shape == each.shape, f"the mask is {mask.shape}, the volume {each.shape}"
        assert np.array_equal(voxels, each.voxels), "the region changes the volume"
        found.append(mask)
    for each, mask in zip(volumes, found, strict=True):  # each after a call with the other
        assert np.array_equal(mask, region(case, each)), "the mask changes from call to call"


@keeps_no_state
def check_augment(augment: Augment) -> None:
    """Check that `augment` follows the contract of `Augment`.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import Augment, make
        >>> from wsseg.testing import check_augment
        >>> check_augment(make(Augment, "standard", rotate_deg=10))
    """
    for planes, number in product((1, 5, 3 * 5), (1, 3)):
        image = samples.noise(20, 30, planes).numpy()
        masks = (samples.noise(20, 30, number).numpy() > 0).astype(np.uint8)
        before = image.copy(), masks.copy()
        first, again = (augment(image, masks, -5.0, 3) for _ in range(2))
        unchanged = np.array_equal(before[0], image) and np.array_equal(before[1], masks)
        assert unchanged, "the arguments are changed"
        try:
            check_augmented(augment, first, image, masks)
        except ContractError as error:
            raise AssertionError(str(error)) from None
        equal = np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
        assert equal, "two calls with the same seed differ"
        assert np.isfinite(first[0]).all(), "the image has values that are not finite"
        assert set(np.unique(first[1])) <= {0, 1}, "the masks have values other than 0 and 1"
    assert_can_be_saved(augment)


@keeps_no_state
def check_cohort(cohort: Cohort) -> None:
    """Check that `cohort` follows the contract of `Cohort` and that its files exist.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import Table
        >>> from wsseg.testing import check_cohort
        >>> check_cohort(Table(path="cohort.csv"))
    """
    cases = cohort.cases()
    assert cases, "the cohort has no cases"
    assert all(isinstance(case, Case) for case in cases), f"these are not cases: {cases!r}"
    assert cases == cohort.cases(), "the cases change from call to call"
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases have the same name"
    split_of: dict[str, str] = {}
    for case in cases:
        assert fits_file_names(case.name), (
            f"{case.name!r} cannot be the name of a file, as predictions require"
        )
        assert split_of.setdefault(case.patient, case.split) == case.split, (
            f"patient {case.patient!r} is in two splits"
        )
        for path in (
            case.image,
            *case.images.values(),
            *case.masks.values(),
            *case.scribbles.values(),
        ):
            assert path.exists(), f"case {case.name!r}: the file {path} does not exist"
        for tags in (case.tags, *case.slice_tags.values()):
            assert all(map(is_tag, tags.values())), (
                f"case {case.name!r}: tags must be True, False, None or a probability; they are "
                f"{dict(tags)}"
            )
    assert_can_be_saved(cohort)


@keeps_no_state
def check_metric(metric: Metric) -> None:
    """Check that `metric` follows the contract of `Metric`, including for empty masks.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import Metric, make
        >>> from wsseg.testing import check_metric
        >>> check_metric(make(Metric, "dice"))
    """
    masks = samples.masks()
    before = [each.copy() for each in masks]
    pairs = list(product(masks, masks))
    rows = [metric(prediction, truth, GRID, masks[0]) for prediction, truth in pairs]
    names: set[frozenset[str]] = set()
    for row, (prediction, truth) in zip(rows, pairs, strict=True):
        assert isinstance(row, Mapping), f"a row is a {type(row).__name__}, not a dict"
        again = metric(prediction, truth, GRID, masks[0])
        names.add(frozenset(row))
        for key, value in row.items():
            assert isinstance(key, str), f"a column is called {key!r}, which is not a string"
            assert_number(f"{key!r}", value)
            assert np.array_equal(value, again[key], equal_nan=True), f"{key!r} changes"
    assert all(map(np.array_equal, before, masks)), "the metric changes a mask"
    assert len(names) == 1, f"rows have different columns: {sorted(map(sorted, names))}"
    assert min(names), "rows have no columns"
    try:
        check_columns(["lesion"], {"metric": metric}, {})
    except KeyProblemError as error:
        raise AssertionError(f"a column cannot be used: {error}") from None
    assert_can_be_saved(metric)


@keeps_no_state
def check_score(score: Score) -> None:
    """Check that `score` follows the contract of `Score`.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import Score, make
        >>> from wsseg.testing import check_score
        >>> check_score(make(Score, "share", of="tumour", within="liver"))
    """
    names = sorted(score.needs)
    given = [
        dict(zip(names, masks, strict=True))
        for masks in product(samples.masks(), repeat=len(names))
    ]
    for masks, value in [(masks, score(masks)) for masks in given]:
        assert_number("the score", value)
        assert np.array_equal(value, score(masks), equal_nan=True), "the score changes"
    assert_can_be_saved(score)


@keeps_no_state
def check_unit(unit: ImageUnit) -> None:
    """Check that `unit` follows the contract of `ImageUnit`.

    Raises:
        AssertionError: The contract is violated; the message says how.

    Example:
        >>> from wsseg import ImageUnit, make
        >>> from wsseg.testing import check_unit
        >>> check_unit(make(ImageUnit, "any"))
    """
    assert unit.name.split() == [unit.name], f"the name {unit.name!r} is not a single word"
    for key in ("lowest_measured", "highest_tissue", "fill"):
        if (value := getattr(unit, key)) is not None:
            assert_number(key, value)
            assert math.isfinite(value), f"{key} is {value}"
    for lowest, highest in ((0, 0), (0, 1), (0, 255), (-1e6, 1e6)):
        reason = unit.mismatch(lowest, highest)
        assert isinstance(reason, str), f"mismatch returns {reason!r}, not a string"
        assert reason == unit.mismatch(lowest, highest), "mismatch changes from call to call"
    if unit.window is not None:
        black, white = unit.window
        assert black < white, f"window is {unit.window}; black must be the lower value"
        assert not unit.mismatch(black, white), "an image that fills the window is not in the unit"
    assert_can_be_saved(unit)
