"""Work on a cohort and a suite grows linearly with the numbers of cases and of jobs."""

from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

import pytest

from wsseg.components.cohorts import Table
from wsseg.components.registry import make
from wsseg.config.recipe_files import load_recipe
from wsseg.core.case import Case
from wsseg.core.input import Input
from wsseg.core.interfaces import Region
from wsseg.data.checks.cohorts import check_patients
from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.measurements import CaseFacts
from wsseg.data.checks.run import Checked, check_cases
from wsseg.data.csv_table import Row
from wsseg.data.file_names import find_path
from wsseg.data.split import by_column
from wsseg.evaluation.rows import read_rows, write_rows
from wsseg.runtime.cache import entries
from wsseg.suite import job_status
from wsseg.suite.definition import Job
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job_status import SuiteRows
from wsseg.training.manifest import manifest

BLOCK = 4096  # bytes of a file on the disk, at least


class Names(list[str]):
    """A list that counts how often it is read from its start to its end."""

    reads = 0

    def __iter__(self) -> Iterator[str]:
        self.reads += 1
        return super().__iter__()


class Facts(list[CaseFacts]):
    """Another such list."""

    reads = 0

    def __iter__(self) -> Iterator[CaseFacts]:
        self.reads += 1
        return super().__iter__()


def test_a_manifest_reads_the_names_of_the_training_cases_once(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe)
    split = by_column(recipe.cohort.cases())
    names = Names(case.name for case in split.train)
    manifest(recipe, split, {"infection": names, "consolidation": []}, ())
    assert names.reads == 1


def test_the_check_of_patients_reads_the_cohort_once_however_many_patients_overlap() -> None:
    def reads(patients: int) -> int:
        facts = Facts(
            CaseFacts(
                Case(f"{patient}-{split}", f"{patient}", Path("x.nii"), split=split),
                None,
                {},
                {},
                (),
            )
            for patient in range(patients)
            for split in ("train", "test")
        )
        assert len(list(check_patients(facts, Expectations(Input())))) == patients
        return facts.reads

    assert reads(1) == reads(20)


def test_a_row_of_slice_tags_is_not_compared_with_every_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    number = 50
    (tmp_path / "a.nii").touch()
    rows, tags = "case,image\n", "case,slice,tag.x\n"
    for index in range(number):
        rows += f"case-{index},a.nii\n"
        tags += f"case-{index},0,1\n"
    (tmp_path / "cohort.csv").write_text(rows)
    (tmp_path / "slices.csv").write_text(tags)
    name = Row.name
    monkeypatch.setattr(Row, "name", lambda row, column: Name(name(row, column)))
    assert all(case.slice_tags for case in Table(path=tmp_path / "cohort.csv").cases())
    assert compared < 20 * number


def test_a_folder_is_listed_once_for_all_names_in_another_unicode_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / normalize("NFD", f"é{number}")).touch()
    listed: list[Path] = []
    iterdir = Path.iterdir

    def counted(folder: Path) -> Iterator[Path]:
        listed.append(folder)
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", counted)
    for number in range(5):
        assert find_path(tmp_path / normalize("NFC", f"é{number}")).is_file()
    assert listed == [tmp_path]


def test_a_check_with_regions_exceeds_the_limit_of_the_cache_by_at_most_a_case(
    toy_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    cases = Table(path=toy_cohort).cases()
    expected = Expectations(Input(size=16), regions={"all": make(Region, "everything")})
    a_case = 3 * BLOCK  # its measurements, scan and region
    limit = 2 * a_case
    monkeypatch.setenv("WSSEG_CACHE_GB", str(limit / 1e9))

    def watched(checked: Iterator[Checked], number: int) -> Iterator[Checked]:
        assert number == len(cases)
        for each in checked:
            assert sum(entry.bytes for entry in entries()) <= limit + a_case
            yield each

    check_cases(cases, expected, (), watched)
    assert {entry.kind for entry in entries()} == {"facts", "prepared"}


def test_the_rows_of_each_job_are_read_once(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, folder, read = load_recipe(toy_recipe), SuiteFolder(tmp_path), list[Path]()
    jobs = [Job(f"method-{number}", recipe) for number in range(4)]

    def counted(path: Path) -> object:
        read.append(path)
        return read_rows(path)

    monkeypatch.setattr(job_status, "read_rows", counted)
    rows = SuiteRows(jobs, folder)
    rows.write()
    assert not folder.rows.exists()
    for job in reversed(jobs):
        write_rows(folder.run(job.folder).scores, [{"case": "a", "dice": 0.5}])
        rows.write()
    assert read == [folder.run(job.folder).scores for job in reversed(jobs)]
    assert list(read_rows(folder.rows)["method"]) == [job.method for job in jobs]
