"""The definition of a suite, and the jobs that it describes."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.suite.test_runner import METHODS, THRESHOLD, ran, suite_of
from wsseg.components.registry import registry
from wsseg.suite.definition import Folds, load_suite, plan, suite_text

if TYPE_CHECKING:
    from tests.conftest import Wsseg


@pytest.fixture
def folder(toy_text: str, tmp_path: Path) -> Path:
    """Two recipes, and a suite of them with folds."""
    (tmp_path / "em.yaml").write_text(toy_text)
    (tmp_path / "threshold.yaml").write_text(THRESHOLD)
    (tmp_path / "folds.yaml").write_text(METHODS + "folds: 2\n")
    return tmp_path


def test_a_matrix_runs_every_combination_of_the_keys_that_a_recipe_has(folder: Path) -> None:
    suite = suite_of(
        folder,
        METHODS + "set: {stages.infection.epochs: 7, stages.consolidation.epochs: 9}\n"
        "matrix:\n"
        "  input.size: [32, 48]\n"
        "  stages.consolidation.prior.midpoint_hu: [-34, -144.5]\n"
        "seeds: [0, 1]\n",
    )
    jobs = plan(load_suite(suite), folder)
    assert [job.folder.as_posix() for job in jobs if job.recipe.seed == 0] == [
        "threshold,size=32/seed-0",
        "threshold,size=48/seed-0",
        "em,size=32,midpoint_hu=-34/seed-0",
        "em,size=32,midpoint_hu=-144.5/seed-0",
        "em,size=48,midpoint_hu=-34/seed-0",
        "em,size=48,midpoint_hu=-144.5/seed-0",
    ]
    assert len(jobs) == 12
    last = jobs[-1]
    assert last.method == "em size=48 midpoint_hu=-144.5"
    assert (last.recipe.seed, last.recipe.input.size) == (1, 48)
    stages = {name: stage.model_dump() for name, stage in last.recipe.stages.items()}
    assert stages["infection"]["epochs"] == 7
    assert stages["consolidation"]["epochs"] == 9
    assert "epochs" not in jobs[0].recipe.stages["consolidation"].model_dump()


def test_keys_that_end_in_the_same_word_are_written_in_full(folder: Path) -> None:
    suite = suite_of(
        folder,
        "recipes: [em.yaml]\n"
        "matrix: {stages.infection.epochs: [1], stages.consolidation.epochs: [2]}\n",
    )
    (job,) = plan(load_suite(suite), folder)
    assert job.method == "em stages.infection.epochs=1 stages.consolidation.epochs=2"


def test_a_matrix_may_vary_components(folder: Path) -> None:
    suite = suite_of(
        folder,
        "recipes: [em.yaml]\n"
        "matrix: {stages.consolidation.estep: [{use: soft}, {use: adapt, share: 0.2}]}\n",
    )
    jobs = plan(load_suite(suite), folder)
    assert [job.folder.as_posix() for job in jobs] == [
        "em,estep=use_soft/seed-0",
        "em,estep=share_0.2,_use_adapt/seed-0",
    ]


def test_a_baseline_is_named_with_its_settings_from_the_matrix(
    wsseg: "Wsseg", folder: Path
) -> None:
    text = "recipes: [em.yaml]\nmatrix: {input.size: [32, 48]}\ncompare: {baseline: 'em size=32'}\n"
    assert ran(wsseg, suite_of(folder, text), folder / "no", "--dry-run").code == 0
    ended = ran(wsseg, suite_of(folder, text.replace(" size=32'", "'")), folder / "no")
    assert ended.code == 2
    assert "possible: em size=32, em size=48" in ended.error


def test_recipes_of_a_list_are_named_by_the_last_part_of_their_name(folder: Path) -> None:
    suite = load_suite(suite_of(folder, "recipes: [em.yaml, covid/phi2]\n"))
    assert suite.recipes == {"em": "em.yaml", "phi2": "covid/phi2"}


INLINE = """\
recipes:
  em: em.yaml
  soft:
    extends: em.yaml
    stages: {consolidation: {estep: {use: soft}, epochs: 5}}
"""


def test_a_suite_may_contain_a_recipe_that_extends_another(folder: Path) -> None:
    em, soft = plan(load_suite(suite_of(folder, INLINE)), folder)
    described = [registry().describe(job.recipe)["stages"]["consolidation"] for job in (em, soft)]
    assert [each["estep"]["use"] for each in described] == ["hard", "soft"]
    assert [each["epochs"] for each in described] == [2, 5]
    assert (
        registry().describe(em.recipe)["stages"]["infection"]
        == (registry().describe(soft.recipe)["stages"]["infection"])
    )


def test_an_error_in_a_recipe_inside_a_suite_is_reported_with_its_line(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    wrong = INLINE.replace("epochs: 5", "epoch: 5")
    ended = ran(wsseg, suite_of(folder, wrong), tmp_path / "out")
    ended.refused("own.yaml:5", "stages.consolidation.epoch: unknown key", "epochs")
    assert not (tmp_path / "out").exists()


def test_an_error_in_any_cell_of_the_matrix_is_reported_before_the_first_job(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    text = METHODS + "matrix: {stages.consolidation.epochs: [2, -1]}\n"
    ended = ran(wsseg, suite_of(folder, text), tmp_path / "out")
    ended.refused("own.yaml:2: stages.consolidation.epochs: ", "-1")
    assert not (tmp_path / "out").exists()


def test_a_key_that_no_recipe_has_is_refused_with_a_suggestion(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    for part in ("set: {stages.infection.epoch: 1}", "matrix: {stages.infection.epoch: [1]}"):
        ended = ran(wsseg, suite_of(folder, f"{METHODS}{part}\n"), tmp_path / "out")
        ended.refused("no recipe has the key", "'stages.infection.epochs'")


def test_a_matrix_may_vary_a_key_that_set_has_introduced(folder: Path) -> None:
    text = (
        "recipes: [em.yaml]\n"
        "set: {stages.consolidation.estep: {use: adapt, share: 0.1}}\n"
        "matrix: {stages.consolidation.estep.share: [0.2, 0.3]}\n"
    )
    jobs = plan(load_suite(suite_of(folder, text)), folder)
    assert [job.method for job in jobs] == ["em share=0.2", "em share=0.3"]


def test_set_may_set_a_key_that_another_of_its_values_introduces(folder: Path) -> None:
    text = (
        "recipes: [em.yaml]\nset:\n  stages.consolidation.estep.share: 0.3\n"
        "  stages.consolidation.estep: {use: adapt, share: 0.1}\n"
    )
    (job,) = plan(load_suite(suite_of(folder, text)), folder)
    described = registry().describe(job.recipe)["stages"]["consolidation"]["estep"]
    assert (described["use"], described["share"]) == ("adapt", 0.3)


def test_methods_with_long_values_that_differ_at_their_end_have_different_names(
    folder: Path,
) -> None:
    """YAML would by default wrap them after 80 characters."""
    augment = "{rotate_deg: 90, translate: 0.1, zoom: [0.9, 1.1], flip: [left-right], noise: %s}"
    values = ", ".join(augment % noise for noise in (1, 2))
    suite = suite_of(
        folder, f"recipes: [em.yaml]\nmatrix: {{stages.infection.augment: [{values}]}}\n"
    )
    one, other = plan(load_suite(suite), folder)
    assert one.method != other.method


def test_the_metrics_of_a_suite_replace_those_of_its_recipes(folder: Path) -> None:
    text = METHODS + "metrics: {overlap: {use: dice}}\n"
    for job in plan(load_suite(suite_of(folder, text)), folder):
        assert list(job.recipe.metrics) == ["overlap"]
    for job in plan(load_suite(suite_of(folder, METHODS)), folder):
        assert "hd95" in job.recipe.metrics


def test_a_suite_may_extend_another(folder: Path) -> None:
    suite = load_suite(suite_of(folder, "extends: folds.yaml\nseeds: [0, 1, 2]\n"))
    assert suite.folds == Folds(n=2)
    assert suite.seeds == (0, 1, 2)
    again = folder / "again.yaml"
    again.write_text(suite_text(suite))
    assert load_suite(again) == suite


@pytest.mark.parametrize("name", ["unet.v1", '"unet.v1"', "'unet.v1'"])
def test_set_and_matrix_reach_a_stage_whose_name_has_dots(folder: Path, name: str) -> None:
    text = THRESHOLD.replace("  consolidation:\n", "  consolidation: null\n  unet.v1:\n")
    (folder / "dots.yaml").write_text(text)
    suite = suite_of(
        folder,
        f"recipes: [dots.yaml]\nset:\n  stages.{name}.region: null\n"
        f"matrix:\n  stages.{name}.prior.hu: [-300, -200]\n",
    )
    jobs = plan(load_suite(suite), folder)
    assert [job.method for job in jobs] == ["dots hu=-300", "dots hu=-200"]
    stages = [registry().describe(job.recipe)["stages"]["unet.v1"] for job in jobs]
    assert [stage["prior"]["hu"] for stage in stages] == [-300, -200]
    assert [stage["region"] for stage in stages] == [None, None]


def test_null_removes_a_part_in_set_and_a_method_of_an_extended_suite(folder: Path) -> None:
    more = suite_of(folder, METHODS + "settings_from: {em: tags, threshold: paper}\n")
    (folder / "less.yaml").write_text(
        f"extends: {more.name}\n"
        "recipes: {threshold: null}\nsettings_from: {threshold: null}\n"
        "set: {scores.share: null}\n"
    )
    (job,) = plan(load_suite(folder / "less.yaml"), folder)
    assert job.method == "em"
    assert job.recipe.scores == {}


def test_a_ceiling_that_is_the_baseline_is_refused(wsseg: "Wsseg", folder: Path) -> None:
    suite = suite_of(folder, METHODS + "compare: {baseline: em, ceiling: em}\n")
    ended = wsseg("bench", "run", suite, "--out", folder / "out", "--dry-run")
    ended.refused("compare.ceiling: 'em' is also the baseline; name another method, or null")
