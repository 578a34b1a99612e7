"""Strokes lie in the mask or outside of it, only in training cases, and are drawn once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.picture_files import write_pictures
from wsseg import Case, InputError
from wsseg.components.folder import Folder
from wsseg.components.simulated_scribbles import SimulatedScribbles, stroke
from wsseg.data.reading import read_case_grid, read_case_mask, read_case_scribble
from wsseg.testing import check_cohort


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Four pictures with a crack and its mask, of which one is for testing, and four without."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    return Folder(path=write_pictures(tmp_path / "pictures", number=4), split={"test": "007"})


def scribbles_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    grid = read_case_grid(case)
    return read_case_scribble(case, "crack", grid)[0], read_case_mask(case, "crack", grid)[0]


def test_a_stroke_is_the_part_of_a_line_that_is_in_the_mask() -> None:
    inside = np.array([[True, True, False, True, True]])
    for seed in range(20):
        random = np.random.default_rng(seed)
        first, last = np.sort(np.argwhere(inside)[random.integers(4, size=2), 1])
        expected = [0 <= x - first <= last - first and x != 2 for x in range(5)]
        drawn = stroke(inside, 1, np.random.default_rng(seed))
        np.testing.assert_array_equal(drawn, [expected])
    assert not stroke(np.zeros((1, 5), np.bool_), 1, np.random.default_rng(0)).any()


def test_strokes_mark_the_class_in_its_mask_and_its_absence_outside(pictures: Folder) -> None:
    cohort = SimulatedScribbles(cohort=pictures, of=("crack",), width_px=1)
    check_cohort(cohort)
    cases = {case.name: case for case in cohort.cases()}
    assert {name for name, case in cases.items() if case.scribbles} == {"001", "003", "005"}
    for name in ("001", "003", "005"):
        known, mask = scribbles_of(cases[name])
        assert 1 <= (known == 1).sum() < mask.sum() / 2
        assert (known == -1).sum() >= 1
        assert not (known[~mask] == 1).any()
        assert not (known[mask] == -1).any()


def test_strokes_depend_on_their_settings_and_not_on_other_cases(pictures: Folder) -> None:
    def strokes(cohort: Folder, **settings: int) -> np.ndarray:
        cases = SimulatedScribbles(cohort=cohort, of=("crack",), **settings).cases()
        return scribbles_of(next(case for case in cases if case.name == "003"))[0]

    alone = pictures.model_copy(update={"leave_out": ("001",)})
    np.testing.assert_array_equal(strokes(pictures), strokes(alone))
    for settings in ({"seed": 1}, {"strokes": 3}, {"width_px": 1}):
        assert (strokes(pictures) != strokes(pictures, **settings)).any()


def test_strokes_are_drawn_again_in_a_changed_mask(pictures: Folder) -> None:
    cohort = SimulatedScribbles(cohort=pictures, of=("crack",))
    before = cohort.cases()[0].scribbles["crack"]
    assert cohort.cases()[0].scribbles["crack"] == before
    mask = cohort.cases()[0].masks["crack"]
    Image.fromarray(np.ones((32, 32), np.uint8)).save(mask)
    assert cohort.cases()[0].scribbles["crack"] != before


def test_a_cohort_without_masks_is_refused(pictures: Folder) -> None:
    with pytest.raises(InputError, match="no training case has a mask of hole"):
        SimulatedScribbles(cohort=pictures, of=("hole",)).cases()
