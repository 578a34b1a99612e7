from pathlib import Path

import pytest

from wsseg.components.cohorts import Table
from wsseg.data.csv_table import read_csv_table
from wsseg.data.template import write_template
from wsseg.errors import InputError


def test_the_template_is_a_valid_cohort_once_its_files_exist(tmp_path: Path) -> None:
    table, slices, guide = write_template(tmp_path / "mine")
    columns = ("case", "patient", "site", "split", "image", "mask.*", "tag.*")
    for row in read_csv_table(table, columns, columns[:5]).rows:
        for cell in (row.get("image"), row.get("mask.lesion")):
            path = table.parent / cell
            path.parent.mkdir(exist_ok=True, parents=True)
            path.touch() if cell.endswith(".nii.gz") else path.mkdir(exist_ok=True)
    cases = Table(path=table).cases()
    assert [case.tags["lesion"] for case in cases] == [True, False, None, True]
    assert cases[2].slice_tags == {0: {"lesion": False}, 17: {"lesion": True}}
    assert slices.name == "slices.csv"
    assert all(f"    {name}" in guide.read_text() for name in ("case", "mask.NAME", "tag.CLASS"))


@pytest.mark.parametrize("name", ["cohort.csv", "slices.csv"])
def test_existing_files_are_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name}: the file already exists"):
        write_template(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
