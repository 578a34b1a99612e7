"""Files are measured once, correctly, and again only after a change."""

import numpy as np
import pytest

from tests.data.checks.hospital import Hospital
from wsseg.components.cohorts import Table
from wsseg.core.case import Case
from wsseg.data.checks.measurements import CaseFacts, measure_case
from wsseg.data.checks.value_range import value_range


def measure(case: Case) -> CaseFacts:
    return measure_case(case, lowest_measured=-1100)


def test_a_file_is_read_again_only_when_it_has_changed(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = [case for case in Table(path=hospital.table).cases() if case.name == "c"]
    first = measure(case)
    with monkeypatch.context() as patch:
        patch.setattr("wsseg.data.checks.measurements.read_case", None)  # called, it would fail
        patch.setattr("wsseg.data.checks.measurements.read_case_labels", None)
        assert measure(case) == first
    hospital.save("c-lesion", hospital.voxels("c-lesion") * 7)
    assert measure(case).masks["lesion"].unexpected_labels
    assert measure(case).scan == first.scan


def test_damaged_facts_are_measured_again(hospital: Hospital) -> None:
    case = Table(path=hospital.table).cases()[0]
    first = measure(case)
    (path,) = (hospital.folder.parent / "cache").glob("facts/*/facts.json")
    for text in ("", "[]", '{"scan": {"shape": 1}}'):
        path.write_text(text)
        assert measure(case) == first


def test_facts_are_measured_again_for_a_unit_with_another_lowest_value(hospital: Hospital) -> None:
    case = Table(path=hospital.table).cases()[0]
    for lowest in (-1100, 0, -np.inf):
        scan = measure_case(case, lowest).scan
        assert scan is not None
        voxels = hospital.voxels("a")
        assert scan.values["image"].measured_lowest == voxels[voxels >= lowest].min()


def test_the_overlap_of_two_masks_is_measured_as_shares_of_both(hospital: Hospital) -> None:
    overlap = measure(Table(path=hospital.table).cases()[0]).overlaps["lung", "lesion"]
    assert overlap.first_in_second == pytest.approx(48 / (16 * 12 * 5))
    assert overlap.second_in_first == 1


def test_int16_and_float_voxels_have_the_same_summary() -> None:
    voxels = np.array([[[-3024, -1000, 40], [40, 0, 7]]], np.int16)
    for array in (voxels, voxels.astype(np.float32)):
        values = value_range(array, lowest_measured=-1100)
        assert (values.lowest, values.highest) == (-3024, 40)
        assert (values.measured_lowest, values.measured_highest) == (-1000, 40)
        assert values.unmeasured_share == pytest.approx(1 / 6)
        assert values.highest_share == pytest.approx(2 / 6)
        assert values.labels == (-3024, -1000, 0, 7, 40)
        assert value_range(array, -np.inf).unmeasured_share == 0
