"""Tests of the checks of regions, cohorts, metrics, scores and units: they detect flaws."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg import testing
from wsseg.components.metrics import Dice, Share
from wsseg.components.regions import Everything
from wsseg.core.augment import Augment
from wsseg.core.case import Case
from wsseg.core.component import Component
from wsseg.core.image_unit import ImageUnit
from wsseg.core.interfaces import Cohort, Metric, Region, Score
from wsseg.core.volume import Volume

CALLS = count()  # for components whose result changes


def fails(check: Callable[[Any], None], part: Component, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check(part)


def overwritten(voxels: NDArray[Any]) -> NDArray[Any]:
    voxels[:] = -1
    return voxels < 0


REGIONS: list[tuple[Callable[[NDArray[Any]], Any], str]] = [
    (lambda voxels: (voxels < 0).astype(np.uint8), "uint8, not bool"),
    (lambda voxels: voxels[0] < 0, "the volume"),
    (lambda voxels: np.random.default_rng().random(voxels.shape) < 0.5, "call to call"),
    (overwritten, "changes the volume"),
    (lambda voxels: (voxels < 0).tolist(), "is a list"),
]


@pytest.mark.parametrize(("find", "words"), REGIONS)
def test_check_region_detects_a_broken_region(
    find: Callable[[NDArray[Any]], Any], words: str
) -> None:
    class Broken(Region):
        def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
            found: NDArray[np.bool_] = find(volume.channel())
            return found

    fails(testing.check_region, Broken(), words)


def test_check_region_accepts_a_valid_region() -> None:
    testing.check_region(Everything())


class Listed(Cohort):
    """A cohort with two cases, changed in one way."""

    path: Path
    change: str = ""

    def cases(self) -> list[Case]:
        one = Case("one", "p1", self.path, split="train", tags={"lesion": True})
        other = Case("other", "p2", self.path, split="test", tags={"lesion": None})
        return {
            "": [one, other],
            "empty": [],
            "repeated-name": [one, replace(other, name="one")],
            "folder": [one, replace(other, name="a/b")],
            "leak": [one, replace(other, patient="p1")],
            "no-image": [one, replace(other, image=self.path / "nowhere.nii")],
            "no-mask": [replace(one, masks={"lesion": self.path / "nowhere.nii"})],
            "wrong-tag": [replace(one, tags={"lesion": "yes"})],  # type: ignore[dict-item]
            "changing": [replace(one, site=str(next(CALLS)))],
        }[self.change]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii"
    path.touch()
    return path


def test_check_cohort_accepts_a_valid_cohort(image: Path) -> None:
    testing.check_cohort(Listed(path=image))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("empty", "no cases"),
        ("repeated-name", "same name"),
        ("folder", "cannot be the name of a file"),
        ("leak", "'p1' is in two splits"),
        ("no-image", "does not exist"),
        ("no-mask", "does not exist"),
        ("wrong-tag", "True, False, None or a probability"),
        ("changing", "change from call to call"),
    ],
)
def test_check_cohort_detects_a_broken_cohort(image: Path, change: str, words: str) -> None:
    fails(testing.check_cohort, Listed(path=image, change=change), words)


Mask = NDArray[np.bool_]


def changed(mask: Mask) -> float:
    mask[0, 0, 0] = True
    return 1.0


ROWS: list[tuple[Callable[[Mask, Mask], dict[str, Any]], str]] = [
    (lambda _, truth: {"size": 1.0} if truth.any() else {}, "different columns"),
    (lambda *_: {}, "no columns"),
    (lambda mask, _: {"size": float(mask.sum()) or float("inf")}, "infinite"),
    (lambda mask, _: {"size": str(mask.sum())}, "not a number"),
    (lambda *_: {"calls": float(next(CALLS))}, "changes"),
    (lambda mask, _: {"size": changed(mask)}, "changes a mask"),
]


@pytest.mark.parametrize(("measure", "words"), ROWS)
def test_check_metric_detects_a_broken_metric(
    measure: Callable[[Mask, Mask], dict[str, Any]], words: str
) -> None:
    class Broken(Metric):
        def __call__(
            self,
            prediction: Mask,
            truth: Mask,
            grid: object,  # noqa: ARG002
            region: Mask,  # noqa: ARG002
        ) -> dict[str, float]:
            return measure(prediction, truth)

    fails(testing.check_metric, Broken(), words)


def test_check_metric_and_check_score_accept_valid_components() -> None:
    testing.check_metric(Dice())
    testing.check_score(Share(of="lesion", within="organ"))


def test_check_score_detects_an_infinite_value() -> None:
    class Ratio(Score):
        @property
        def needs(self) -> frozenset[str]:
            return frozenset({"a", "b"})

        def __call__(self, masks: Any) -> float:
            b = float(masks["b"].sum())
            return float(masks["a"].sum()) / b if b else float("inf")

    fails(testing.check_score, Ratio(), "infinite")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "two words"}, "'two words' is not a single word"),
        ({"fill": float("nan")}, "fill is nan"),
        ({"lowest_measured": "0"}, "lowest_measured is a str"),
        ({"window": (1.0, 1.0)}, "black must be the lower value"),
        ({"window": (0.0, 1.0)}, "an image that fills the window is not in the unit"),
        ({"mismatch": lambda *_: None}, "mismatch returns None"),
        ({"mismatch": lambda *_: str(next(CALLS))}, "changes from call to call"),
    ],
)
def test_check_unit_detects_a_broken_unit(changes: dict[str, Any], words: str) -> None:
    class Broken(ImageUnit):
        name = "broken"

        def mismatch(self, lowest: float, highest: float) -> str:
            return "" if highest - lowest > 1 else "a constant image. Use another one"

    testing.check_unit(Broken())
    for key, value in changes.items():
        setattr(Broken, key, value)
    fails(testing.check_unit, Broken(), words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image, masks: (image[..., 0], masks), r"returns \(array of \(20, 30\), float32"),
        (lambda image, masks: (image.astype(float), masks), "float64"),
        (lambda image, _: image, r"it must return \(array of \(20, 30, 1\), float32, array of"),
        (lambda image, masks: (np.add(image, 1, out=image), masks), "arguments are changed"),
        (lambda image, masks: (image + np.float32(next(CALLS)), masks), "the same seed differ"),
        (lambda image, masks: (image / np.float32(0), masks), "not finite"),
        (lambda image, masks: (image, masks * np.uint8(3)), "values other than 0 and 1"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.filterwarnings("ignore:invalid value")
def test_check_augment_detects_a_broken_augmentation(
    change: Callable[[Any, Any], Any], words: str
) -> None:
    class Broken(Augment):
        def __call__(self, image: Any, masks: Any, fill: float, seed: int) -> Any:  # noqa: ARG002
            return change(image, masks)

    fails(testing.check_augment, Broken(), words)
