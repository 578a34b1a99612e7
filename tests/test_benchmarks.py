"""What the READMEs claim is what the committed rows say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from wsseg.components.registry import registry
from wsseg.suite.definition import load_suite, plan

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readmes", BENCHMARKS / "write_readmes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_table_of_a_readme_is_made_from_its_rows(script: ModuleType) -> None:
    tables = 0
    for path in script.READMES:
        text = path.read_text(encoding="utf-8")
        assert script.written(text) == text, f"{path}: run benchmarks/write_readmes.py"
        for figure, _ in script.figure_files(text):
            assert figure.exists(), f"{path}: run benchmarks/write_readmes.py"
        tables += len(script.PLACE.findall(text))
    assert tables >= 4


def test_the_suite_that_the_page_shows_is_one(tmp_path: Path) -> None:
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    (tmp_path / "suite.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    jobs = plan(load_suite(tmp_path / "suite.yaml"), tmp_path)
    assert "em midpoint_hu=-144" in {job.method for job in jobs}
    assert len(jobs) == (1 + 2 + 2) * 3 * 4


@pytest.mark.parametrize(
    "path", sorted(BENCHMARKS.glob("*/suite.yaml")), ids=lambda p: p.parent.name
)
def test_a_suite_that_ships_is_valid_and_its_rows_are_of_its_methods(path: Path) -> None:
    from wsseg.evaluation.rows import read_rows

    jobs = plan(load_suite(path), path.parent)
    if not path.with_name("rows.csv").exists():
        pytest.skip("has no committed rows yet")
    rows = read_rows(path.with_name("rows.csv"))
    assert set(rows["method"]) == {job.method for job in jobs}


@pytest.mark.parametrize(
    ("suite", "tested_on"), [("phantom/seeds", "lung-phantom"), ("medseg/volumes", "medseg-9")]
)
def test_a_suite_beside_another_is_valid(suite: str, tested_on: str) -> None:
    path = BENCHMARKS / f"{suite}.yaml"
    jobs = plan(load_suite(path), path.parent)
    assert {job.recipe.seed for job in jobs} == {0, 1, 2}
    for job in jobs:
        recipe = registry().describe(job.recipe)
        assert (recipe["test"] or recipe["cohort"])["use"] == tested_on
