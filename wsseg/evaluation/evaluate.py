"""Evaluation of a run on its test cases."""

from collections.abc import Iterator, Sequence
from typing import Any

from wsseg.components.metrics import Dice
from wsseg.config.columns import HEALTH, WARNINGS
from wsseg.core.case import Case
from wsseg.data.reading import read_case_mask
from wsseg.evaluation.scoring import ScoringPlan, score_case
from wsseg.inference.folders import RunFolder
from wsseg.inference.prior_ablation import ablation_masks
from wsseg.inference.run import Run
from wsseg.training.target_health import SEPARATOR, final_problems


def missing_annotations(cases: Sequence[Case], classes: Sequence[str]) -> list[str]:
    """Return a sentence for each class that is not annotated in any case."""
    return [
        f"no test case has mask.{name}, so the predicted {name} is not compared with any annotation"
        for name in classes
        if not any(name in case.masks for case in cases)
    ]


def evaluate(run: Run, cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    """Predict each case, save its mask in the run's `predictions/`, and yield its row of scores.

    If the last stage learns by EM, the row also has `prior_dice` and `both_dice` with their voxel
    counts: the Dice of the prior alone, and of prior and network combined, both computed as if the
    case had the tag. If the targets of a stage have collapsed or fill the region, the row reports
    it in the column `run.health`.
    """
    recipe, health = run.recipe, _health_of_targets(run)
    plan = ScoringPlan.of_recipe(recipe)
    for case in cases:
        prediction = run.predict(case)
        prediction.save(RunFolder(run.folder).predictions.path)
        true = {
            name: read_case_mask(case, name, prediction.mask.grid)
            for name in prediction.masks
            if name in case.masks
        }
        scores = score_case(prediction.masks, true, prediction.mask.grid, plan)
        if (target := recipe.classes[-1]) in true:
            for source, mask in ablation_masks(run, case).items():
                counts = Dice()(mask, true[target], prediction.mask.grid, mask)
                scores |= {f"{source}_{column}": value for column, value in counts.items()}
        tags = {f"tag.{name}": case.tags.get(name) for name in recipe.classes}
        row = {"case": case.name, "patient": case.patient, "site": case.site} | tags | scores
        if prediction.warnings:
            row[WARNINGS] = " ".join(prediction.warnings)
        if health:
            row[HEALTH] = health
        yield row


def _health_of_targets(run: Run) -> str:
    """Describe the problems of the targets of all stages, or return ""."""
    stages = run.pipeline.stages.values()
    problems = final_problems(record for stage in stages for record in stage.history)
    return SEPARATOR.join(dict.fromkeys(problems.values()))
