"""Which stages the jobs of a suite share, found from their recipes."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.suite.definition import Job, load_suite, plan
from wsseg.suite.shared_stages import stage_digests, stage_trainings

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SWEEP = """\
recipes: {phi2: covid/phi2}
matrix:
  stages.consolidation.prior.midpoint_hu: [-144, -89, -34, 21]
  stages.consolidation.prior.width_hu: [55, 110, 220]
seeds: [0, 1, 2]
"""


def jobs_of(folder: Path, text: str) -> list[Job]:
    (folder / "own.yaml").write_text(text)
    return plan(load_suite(folder / "own.yaml"), folder)


@pytest.fixture
def folder(toy_text: str, tmp_path: Path) -> Path:
    (tmp_path / "em.yaml").write_text(toy_text)
    return tmp_path


def keys(folder: Path, changes: str) -> dict[str, str]:
    [job] = jobs_of(folder, f"recipes: [em.yaml]\n{changes}\n")
    return stage_digests(job)


def test_twelve_priors_with_three_seeds_share_three_infection_stages(folder: Path) -> None:
    jobs = jobs_of(folder, SWEEP)
    assert len(jobs) == 36
    found = [(t.stage, len(t.jobs), t.depth) for t in stage_trainings(jobs)]
    assert found == [("infection", 12, 0)] * 3 + [("consolidation", 1, 1)] * 36


def test_a_dry_run_prints_the_shared_stages_and_prepares_nothing(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    (folder / "sweep.yaml").write_text(SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
        ended = wsseg("bench", "run", folder / "sweep.yaml", "--out", folder / "out", "--dry-run")
    assert ended.code == 0, ended.err
    assert "36 jobs = 12 methods × 3 seeds; 0 done, 36 to do\n" in ended.out
    assert "39 trainings to do (72 if jobs shared no stage)\n" in ended.out
    assert "phase 1: infection ×3, for 36 jobs" in ended.out
    assert "phase 2: consolidation ×36, then scoring ×36" in ended.out
    assert not (tmp_path / "cache").exists()
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    "change",
    [
        "set: {stages.consolidation.prior.midpoint_hu: 0}",
        "set: {stages.consolidation.epochs: 9}",
        "set: {window: [-1000, 0]}",
        "set: {scores: {}}",
        "metrics: {dice: {use: dice}}",
    ],
)
def test_settings_of_later_stages_and_of_scoring_do_not_change_a_stage(
    folder: Path, change: str
) -> None:
    assert keys(folder, change)["infection"] == keys(folder, "")["infection"]


@pytest.mark.parametrize(
    "change",
    [
        "set: {stages.infection.epochs: 9}",
        "set: {input.size: 48}",
        "set: {precision: float32}",
        "seeds: [1]",
        "set: {cohort: {use: lung-phantom, cases: 4}}",
    ],
)
def test_settings_that_change_a_stage_change_the_stages_that_build_on_it(
    folder: Path, change: str
) -> None:
    before, after = keys(folder, ""), keys(folder, change)
    assert before["infection"] != after["infection"]
    assert before["consolidation"] != after["consolidation"]


def test_masks_that_a_stage_does_not_read_do_not_change_it(folder: Path) -> None:
    """Hiding masks of the consolidation changes neither the infection stage nor the EM stage."""
    text = (folder / "em.yaml").read_text()
    cohort = text.partition("cohort: ")[2].partition("\n")[0]
    few = f"set: {{cohort: {{use: few-masks, of: [NAME], masks: 1, cohort: {cohort}}}}}"
    assert keys(folder, few.replace("NAME", "consolidation")) == keys(folder, "")
    hidden = keys(folder, few.replace("NAME", "infection"))
    assert hidden["infection"] != keys(folder, "")["infection"]


def test_folds_share_no_stage(folder: Path) -> None:
    jobs = jobs_of(folder, "recipes: [em.yaml]\nfolds: 2\n")
    assert len({stage_digests(job)["infection"] for job in jobs}) == 2


def test_renaming_a_stage_changes_the_stage_but_renaming_a_region_does_not(folder: Path) -> None:
    """The random numbers of a stage are seeded by its name."""
    text = (folder / "em.yaml").read_text()
    everywhere = "regions: {{{0}: {{use: everything}}}}\n"
    classes = "classes: [infection]\n"
    for name in ("body", "all"):
        within = text.replace(classes, f"{classes}    region: {name}\n")
        (folder / f"{name}.yaml").write_text(within + everywhere.format(name))
    renamed = text.replace("  infection:\n", "  lesion:\n")
    renamed = renamed.replace("start: infection", "start: lesion")
    renamed = renamed.replace("region: infection", "region: lesion")
    (folder / "renamed.yaml").write_text(renamed)
    jobs = jobs_of(folder, "recipes: [em.yaml, body.yaml, all.yaml, renamed.yaml]\n")
    em, body, everything, other = (stage_digests(job) for job in jobs)
    assert body == everything
    assert em["infection"] != body["infection"]
    assert em["infection"] != other["lesion"]
    assert em["consolidation"] != other["consolidation"]


def test_stages_are_trained_after_those_they_build_on(folder: Path) -> None:
    text = (folder / "em.yaml").read_text()
    third = text.partition("  consolidation:\n")[2].partition("scores:")[0]
    third = third.replace("[consolidation]", "[core]").replace("infection", "consolidation")
    (folder / "three.yaml").write_text(text.replace("scores:", f"  core:\n{third}scores:"))
    jobs = jobs_of(folder, "recipes: {a: three.yaml, b: three.yaml}\n")
    found = [(t.stage, t.depth, t.needed) for t in stage_trainings(jobs)]
    assert found == [
        ("infection", 0, ["infection"]),
        ("consolidation", 1, ["infection", "consolidation"]),
        ("core", 2, ["infection", "consolidation", "core"]),
    ]


@pytest.mark.usefixtures("undrawn_figures")
def test_runs_that_share_a_stage_find_its_region_by_the_name_in_their_own_recipe(
    wsseg: "Wsseg", toy_text: str, tmp_path: Path
) -> None:
    """Two recipes call the same region `body` and `all`: the stage is trained once, for both."""
    recipe = toy_text.partition("  consolidation:\n")[0]
    for name in ("body", "all"):
        within = recipe.replace("[infection]\n", f"[infection]\n    region: {name}\n")
        (tmp_path / f"{name}.yaml").write_text(
            f"{within}regions: {{{name}: {{use: everything}}}}\n"
        )
    (tmp_path / "suite.yaml").write_text("recipes: [body.yaml, all.yaml]\n")
    out = tmp_path / "out"
    ended = wsseg("bench", "run", tmp_path / "suite.yaml", "--out", out)
    assert ended.code == 0, ended.err
    assert len(list((out / "stages").iterdir())) == 1
