"""Predicts a run's test cases and compares them with what is annotated: a row a case."""

from collections.abc import Iterator, Sequence
from typing import Any

from wsseg.data.case import Case
from wsseg.data.volume import read_case_mask
from wsseg.predict import Run
from wsseg.score import score_case


def evaluate(run: Run, cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    """Write each case's predicted mask into the run's `predictions/` and yield its row."""
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
        tags = {f"tag.{name}": case.tags.get(name) for name in recipe.classes}
        yield {"case": case.name, "patient": case.patient, "site": case.site} | tags | measured
