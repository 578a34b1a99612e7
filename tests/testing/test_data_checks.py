"""The kit on parts that read and measure: it catches what breaks a contract."""

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
from wsseg.core.case import Case
from wsseg.core.component import Component
from wsseg.core.interfaces import Cohort, Metric, Region, Score
from wsseg.core.volume import Volume

CALLS = count()  # for parts that remember


def fails(check: Callable[[Any], None], part: Component, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check(part)


def blackened(voxels: NDArray[Any]) -> NDArray[Any]:
    voxels[:] = -1000
    return voxels < 0


REGIONS: list[tuple[Callable[[NDArray[Any]], Any], str]] = [
    (lambda voxels: (voxels < 0).astype(np.uint8), "uint8, not bool"),
    (lambda voxels: voxels[0] < 0, "the volume"),
    (lambda voxels: np.random.default_rng().random(voxels.shape) < 0.5, "call to call"),
    (blackened, "changes the volume"),
    (lambda voxels: (voxels < 0).tolist(), "is a list"),
]


@pytest.mark.parametrize(("find", "words"), REGIONS)
def test_check_region_catches(find: Callable[[NDArray[Any]], Any], words: str) -> None:
    class Broken(Region):
        def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
            found: NDArray[np.bool_] = find(volume.voxels)
            return found

    fails(testing.check_region, Broken(), words)


def test_check_region_passes_a_region() -> None:
    testing.check_region(Everything())


class Listed(Cohort):
    """Cases that a test writes down."""

    path: Path
    change: str = ""

    def cases(self) -> list[Case]:
        one = Case("one", "p1", self.path, split="train", tags={"lesion": True})
        other = Case("other", "p2", self.path, split="test", tags={"lesion": None})
        return {
            "": [one, other],
            "nobody": [],
            "twins": [one, replace(other, name="one")],
            "folder": [one, replace(other, name="a/b")],
            "leak": [one, replace(other, patient="p1")],
            "lost": [one, replace(other, image=self.path / "nowhere.nii")],
            "maskless": [replace(one, masks={"lesion": self.path / "nowhere.nii"})],
            "words": [replace(one, tags={"lesion": "yes"})],  # type: ignore[dict-item]
            "moody": [replace(one, site=str(next(CALLS)))],
        }[self.change]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii"
    path.touch()
    return path


def test_check_cohort_passes_a_cohort(image: Path) -> None:
    testing.check_cohort(Listed(path=image))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("nobody", "no cases"),
        ("twins", "one name"),
        ("folder", "cannot be a file's name"),
        ("leak", "'p1' is in two splits"),
        ("lost", "there is no file"),
        ("maskless", "there is no file"),
        ("words", "True, False or None"),
        ("moody", "change from call to call"),
    ],
)
def test_check_cohort_catches(image: Path, change: str, words: str) -> None:
    fails(testing.check_cohort, Listed(path=image, change=change), words)


Mask = NDArray[np.bool_]


def spoilt(mask: Mask) -> float:
    mask[0, 0, 0] = True
    return 1.0


ROWS: list[tuple[Callable[[Mask, Mask], dict[str, Any]], str]] = [
    (lambda _, truth: {"size": 1.0} if truth.any() else {}, "different columns"),
    (lambda *_: {}, "no columns"),
    (lambda mask, _: {"size": float(mask.sum()) or float("inf")}, "infinite"),
    (lambda mask, _: {"size": str(mask.sum())}, "not a number"),
    (lambda *_: {"calls": float(next(CALLS))}, "changes"),
    (lambda mask, _: {"size": spoilt(mask)}, "a mask is changed"),
]


@pytest.mark.parametrize(("measure", "words"), ROWS)
def test_check_metric_catches(measure: Callable[[Mask, Mask], dict[str, Any]], words: str) -> None:
    class Broken(Metric):
        def __call__(
            self,
            prediction: Mask,
            truth: Mask,
            spacing_mm: object,  # noqa: ARG002
            region: Mask,  # noqa: ARG002
        ) -> dict[str, float]:
            return measure(prediction, truth)

    fails(testing.check_metric, Broken(), words)


def test_check_metric_and_check_score_pass_what_ships() -> None:
    testing.check_metric(Dice())
    testing.check_score(Share(of="infection", within="lung"))


def test_check_score_catches_a_division_by_nothing() -> None:
    class Ratio(Score):
        @property
        def needs(self) -> frozenset[str]:
            return frozenset({"a", "b"})

        def __call__(self, masks: Any) -> float:
            b = float(masks["b"].sum())
            return float(masks["a"].sum()) / b if b else float("inf")

    fails(testing.check_score, Ratio(), "infinite")
