"""The fingerprint of a job changes with what decides its results, and with nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from wsseg.components.registry import registry
from wsseg.config.recipe_files import load_recipe
from wsseg.core.component import Component
from wsseg.suite import job_fingerprint as module
from wsseg.suite.definition import Job
from wsseg.suite.job_fingerprint import (
    DECIDING,
    NOT_DECIDING,
    PACKAGE,
    code_fingerprint,
    deciding_code,
    deciding_modules,
    job_fingerprint,
)
from wsseg.suite.tuning import Tuning


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code of wsseg."""
    folder = tmp_path_factory.mktemp("copy") / "wsseg"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def digest(package: Path) -> frozenset[str]:
    deciding_code.cache_clear()
    return deciding_code(package)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("training/em.py", True),
        ("data/resample.py", True),
        ("inference/fusion.py", True),
        ("evaluation/scoring.py", True),
        ("runtime/random_numbers.py", True),
        ("cli/bench.py", False),
        ("report/page.py", False),
        ("data/download.py", False),
        ("data/checks/scans.py", False),
        ("training/log.py", False),
        ("evaluation/summary.py", False),
    ],
)
def test_code_that_decides_results_counts_but_not_commands_checks_and_reports(
    name: str, counts: bool, package: Path
) -> None:
    before, path = digest(package), package / name
    text = path.read_text()
    path.write_text(f"{text}\n# a comment\n")
    assert digest(package) == before
    path.write_text(f"{text}\nCHANGED = True\n")
    assert (digest(package) != before) == counts
    path.write_text(text)


def test_the_names_of_modules_that_do_not_count_are_those_of_files() -> None:
    names = [*NOT_DECIDING, *(name for name in DECIDING if "/" in name)]
    assert [name for name in names if not (PACKAGE / f"{name}.py").is_file()] == []


def test_a_new_module_of_a_deciding_package_counts(package: Path) -> None:
    (package / "training" / "new.py").write_text("X = 1\n")
    assert "training/new" in deciding_modules(package)
    (package / "training" / "new.py").unlink()


@pytest.fixture
def job(toy_recipe: Path) -> Job:
    return Job("em", load_recipe(toy_recipe), 0, None)


def changed(job: Job, toy_recipe: Path, *changes: str) -> Job:
    return replace(job, recipe=load_recipe(toy_recipe, list(changes)))


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ("seed=1", True),
        ("stages.consolidation.epochs=3", True),
        ("input.size=48", True),
        ("window=[-1000, 400]", False),
    ],
)
def test_settings_count_except_those_of_figures(
    change: str, counts: bool, job: Job, toy_recipe: Path
) -> None:
    other = changed(job, toy_recipe, change)
    assert (job_fingerprint(other) != job_fingerprint(job)) == counts


def test_the_folder_of_the_data_does_not_count(job: Job, toy_cohort: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(toy_cohort.parent, moved)
    (tmp_path / "moved.yaml").write_text(
        (tmp_path / "toy.yaml").read_text().replace(str(toy_cohort.parent), str(moved))
    )
    other = replace(job, recipe=load_recipe(tmp_path / "moved.yaml"))
    assert other.recipe.cohort != job.recipe.cohort
    assert job_fingerprint(other) == job_fingerprint(job)


def test_a_function_may_move_to_another_deciding_module(package: Path) -> None:
    before, path = digest(package), package / "data" / "reading.py"
    text, new = path.read_text(), package / "data" / "labels.py"
    start, end = text.index("def label_mask("), text.index("def read_case_grid(")
    new.write_text(text[start:end])
    path.write_text(text[:start] + text[end:])
    assert digest(package) == before
    path.write_text(text)
    new.unlink()


def test_the_code_of_parts_that_tuning_tries_counts(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locations(part: Component) -> frozenset[Path]:
        own = "estep" in type(part).model_fields and "'adapt'" in repr(registry().describe(part))
        return frozenset({Path(__file__)} if own else ())

    key = "stages.consolidation.estep"
    esteps = {key: [{"use": "soft"}, {"use": "adapt", "share": 0.1}]}
    numbers = {"stages.consolidation.epochs": [1, 2]}
    tuned, other = (replace(job, tuning=Tuning(settings=each)) for each in (esteps, numbers))
    monkeypatch.setattr(module, "code_locations", locations)
    assert code_fingerprint(tuned) != code_fingerprint(other) == code_fingerprint(job)


def test_the_code_of_parts_counts(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job_fingerprint(job)
    locations = frozenset({Path(__file__)})
    monkeypatch.setattr(module, "code_locations", lambda _: locations)
    assert job_fingerprint(job) != before
