"""Contact sheets: slices through the largest findings of a case, and the command that writes them.

The cases of the unit tests have slices of 80 x 80 pixels that are all in the region, so a slice is
four times as large in the sheet, which has 320 pixels for each.
"""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wsseg.core.case import Case
from wsseg.core.volume import Grid, LabelMap
from wsseg.inference.run import Prediction
from wsseg.report.contact_sheet import BORDER, GAP, contact_sheet
from wsseg.report.predicted_case import PredictedCase

if TYPE_CHECKING:
    from tests.conftest import Wsseg

PANEL = 320
BLACK, GREY, WHITE = 0, 128, 255


def square(z: int, low: int, high: int, slices: int = 12) -> NDArray[np.bool_]:
    mask = np.zeros((slices, 80, 80), np.bool_)
    mask[z, low:high, low:high] = True
    return mask


def shown(
    predicted: NDArray[np.bool_], true: NDArray[np.bool_] | None = None, **more: Any
) -> PredictedCase:
    """A grey case; its region is all of it."""
    grid = Grid(predicted.shape[::-1], np.diag([1.0, 1.0, 2.0, 1.0]))
    masks = {"lesion": predicted, "body": np.ones_like(predicted)}
    prediction = Prediction(
        Case("case-1", "p", Path("1.nii.gz")),
        LabelMap(predicted.astype(np.uint8), grid),
        masks,
        {"lesion_ml": 0.1, "body_ml": 150.0, "severity": 0.25},
        more.get("warnings", ()),
    )
    annotated = {} if true is None else {"lesion": true}
    return PredictedCase(
        prediction, np.full(predicted.shape, 50.0), annotated, ["lesion"], (0, 100)
    )


def panels(sheet: NDArray[np.uint8], columns: int, side: int = PANEL) -> list[NDArray[np.int_]]:
    """Return the slices of a sheet of one row; the row begins at the first grey pixel below."""
    top = int(np.flatnonzero((sheet[:, BORDER + 2] == GREY).all(axis=-1))[0])
    lefts = [BORDER + n * (side + GAP) for n in range(columns)]
    return [sheet[top : top + side, left : left + side].astype(int) for left in lefts]


def is_orange(panel: NDArray[np.int_]) -> NDArray[np.bool_]:
    tinted: NDArray[np.bool_] = panel[..., 0] - panel[..., 2] > 60
    return tinted


def test_a_finding_is_shown_without_a_mask_with_the_annotation_and_with_the_prediction() -> None:
    both = square(3, 40, 60) | square(9, 10, 20)
    sheet = contact_sheet(shown(predicted=square(3, 40, 60), true=both))
    assert sheet.shape[1] == 2 * BORDER + 6 * PANEL + 5 * GAP  # two slices with three panels each
    plain, annotated, predicted, other, missed, nothing = panels(sheet, 6)
    assert not is_orange(plain).any()
    for panel in (annotated, predicted):  # rows and columns 40 to 60, four times as large
        assert is_orange(panel)[162:238, 162:238].all()
        assert is_orange(panel).sum() == pytest.approx(80 * 80, rel=0.05)
    assert is_orange(missed).sum() == pytest.approx(
        40 * 40, rel=0.1
    )  # slice 9: it is not predicted
    assert not is_orange(other).any()
    assert not is_orange(nothing).any()


def test_without_annotation_each_slice_has_two_panels() -> None:
    sheet = contact_sheet(shown(square(3, 40, 60) | square(9, 10, 20)))
    assert sheet.shape[1] == 2 * BORDER + 4 * PANEL + 3 * GAP
    assert [is_orange(panel).any() for panel in panels(sheet, 4)] == [False, True, False, True]


def test_a_case_with_one_slice_is_shown_twice_as_large() -> None:
    sheet = contact_sheet(shown(square(0, 40, 60, slices=1)))
    plain, predicted = panels(sheet, 2, side=2 * PANEL)
    assert not is_orange(plain).any()
    assert is_orange(predicted).sum() == pytest.approx(160 * 160, rel=0.05)


def test_without_a_finding_the_middle_slice_is_shown() -> None:
    sheet = contact_sheet(shown(np.zeros((12, 80, 80), np.bool_)))
    assert not any(is_orange(panel).any() for panel in panels(sheet, 2, side=2 * PANEL))


def test_a_warning_makes_a_sheet_higher_by_its_lines() -> None:
    warnings = ("the region has an unlikely volume " * 12,)
    plain, warned = (
        contact_sheet(shown(square(3, 40, 60), warnings=each)) for each in ((), warnings)
    )
    assert warned.shape[0] > plain.shape[0] + 40  # several lines
    assert warned.shape[1] == plain.shape[1]


def test_predict_writes_a_contact_sheet_of_each_scan_only_on_request(
    wsseg: "Wsseg",
    trained: Path,
    toy_cohort: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """case-6 has an annotation in the table of cases; the scan 7-image is only a file."""
    scan, out = toy_cohort.parent / "7-image.nii.gz", tmp_path / "out"
    lines = toy_cohort.read_text().splitlines()
    table = tmp_path / "cohort.csv"
    row = lines[7].replace("6-", f"{toy_cohort.parent}/6-")
    table.write_text(f"{lines[0]}\n{row}\n")
    with monkeypatch.context() as patch:
        for name in [each for each in sys.modules if each.startswith("wsseg.report")]:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, "matplotlib", None)  # importing it raises an error
        ended = wsseg("predict", trained, table, scan, "--out", out)
        assert ended.code == 0, ended.err
    assert not (out / "pictures").exists()
    ended = wsseg("predict", trained, table, scan, "--out", out, "--pictures")
    assert ended.code == 0, ended.err
    assert {path.name for path in (out / "pictures").iterdir()} == {"case-6.png", "7-image.png"}
    with Image.open(out / "pictures" / "case-6.png") as sheet:
        annotated = sheet.size[0]
    with Image.open(out / "pictures" / "7-image.png") as sheet:
        assert sheet.size[0] < annotated  # has no panel of the annotation


def test_an_annotation_that_does_not_match_its_scan_is_named_and_leaves_no_sheet(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    for name in ("6-image", "6-infection"):
        shutil.copy(toy_cohort.parent / f"{name}.nii.gz", tmp_path)
    (tmp_path / "6-consolidation.nii.gz").write_bytes(b"no image")
    lines = toy_cohort.read_text().splitlines()
    (tmp_path / "cohort.csv").write_text(f"{lines[0]}\n{lines[7]}\n")
    ended = wsseg(
        "predict", trained, tmp_path / "cohort.csv", "--out", tmp_path / "m", "--pictures"
    )
    ended.refused("6-consolidation.nii.gz")
    assert (tmp_path / "m" / "scores.csv").exists()
    assert not list(tmp_path.glob("m/pictures/*"))
