"""Predicts a run's test cases and compares them with what is annotated: a row a case."""

from collections.abc import Iterator, Sequence
from typing import Any

from wsseg.components.metrics import Dice
from wsseg.core.case import Case
from wsseg.data.checks.findings import accepting
from wsseg.data.reading import read_case_mask
from wsseg.errors import InputError
from wsseg.evaluation.scoring import score_case
from wsseg.inference.prior_ablation import beliefs
from wsseg.inference.run import Run
from wsseg.training.manifest import read_manifest


def held_out(run: Run) -> list[Case]:
    """Return the cases that a run was kept from: those that its manifest lists for testing.

    Raises:
        InputError: There is none, or its cohort has it no longer.
    """
    about = read_manifest(run.folder)
    names = about["test"]
    if not names:
        raise InputError(f"{run.folder}: was trained without test cases; nothing to compare with")
    found = {case.name: case for case in (run.recipe.test or run.recipe.cohort).cases()}
    if gone := [name for name in names if name not in found]:
        raise InputError(
            f"{run.folder}: test case {gone[0]} ({len(gone)} such) is in the cohort no longer"
        )
    return [accepting(found[name], about.get("accepted", ())) for name in names]


def evaluate(run: Run, cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    """Write each case's predicted mask into the run's `predictions/` and yield its row.

    Where the target was learnt by EM, `prior_dice` and `both_dice`, with their counts, are of the
    prior alone and of prior and network together, as if the case had the tag.
    """
    recipe = run.recipe
    within = {name: stage.region for stage in recipe.stages.values() for name in stage.classes}
    for case in cases:
        prediction = run.predict(case)
        prediction.save(run.folder / "predictions")
        true = {
            name: read_case_mask(case, name, prediction.mask.grid)
            for name in prediction.masks
            if name in case.masks
        }
        measured = score_case(
            prediction.masks,
            true,
            prediction.mask.spacing_mm,
            classes=recipe.classes,
            within=within,
            metrics=recipe.metrics,
            scores=recipe.scores,
        )
        if (target := recipe.classes[-1]) in true:
            for source, mask in beliefs(run, case).items():
                counts = Dice()(mask, true[target], prediction.mask.spacing_mm, mask)
                measured |= {f"{source}_{column}": value for column, value in counts.items()}
        tags = {f"tag.{name}": case.tags.get(name) for name in recipe.classes}
        yield {"case": case.name, "patient": case.patient, "site": case.site} | tags | measured
