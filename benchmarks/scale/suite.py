"""The suite of the benchmark: tiny networks on tiny phantoms, four methods with shared stages."""

import csv
from pathlib import Path
from typing import TypeAlias

from wsseg.runtime.files import write_text

Rows: TypeAlias = list[dict[str, str]]

METHODS, FOLDS = 4, 5
SUITE = """\
recipes:
  threshold: {{extends: covid/demo-threshold, {tiny}}}
  phi2: {{extends: covid/demo-phi2, {tiny}}}
  em: {{extends: covid/demo-em, {tiny}}}
  supervised: {{extends: covid/demo-supervised, {tiny}}}
set:
  stages.infection.epochs: 4
  stages.infection.backbone.width: 4
  stages.consolidation.epochs: 4
seeds: {seeds}
folds: {folds}
"""
TINY = "cohort: {cases: 10, size: 64, slices: 10}, input: {size: 64}"
OF_ONE_RUN = ("run.commit", "run.threads", "run.date", "run.seconds")  # differ between equal runs


def write_suite(folder: Path, jobs: int) -> Path:
    """Write a suite of at least `jobs` jobs: four methods × five folds × as many seeds as needed.

    With fewer than 20 jobs, it has one seed and as many folds as needed, at least two.
    """
    folds = min(FOLDS, max(2, -(-jobs // METHODS)))
    seeds = list(range(-(-jobs // (METHODS * folds))))
    path = folder / "suite.yaml"
    write_text(path, SUITE.format(tiny=TINY, seeds=seeds, folds=folds))
    return path


def results(path: Path) -> Rows:
    """Return the rows of a suite as texts, without what differs between runs of the same job."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: cell for name, cell in row.items() if name not in OF_ONE_RUN}
            for row in csv.DictReader(file)
        ]


def finished_jobs(out: Path) -> int:
    """Return the number of jobs in a suite's folder that are done."""
    return sum(1 for _ in out.glob("*/seed-*/fold-*/scores.csv"))
