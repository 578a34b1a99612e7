"""Measure the pixel AUROC of the finished runs of a suite.

Run it after the suite: python -m benchmarks.pixel_auroc surface-defects runs/surface-defects

It writes `pixel_auroc.csv` into the suite's folder in benchmarks: a row for each run and class. The
AUROC is over all pixels of the test cases of a run, at the size of the network's input.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

from benchmarks.pages import machine, markdown_table, versions, write_rows
from wsseg.evaluation.manifest_cases import held_out_cases
from wsseg.evaluation.measure_reliability import measure_cases, pooled
from wsseg.evaluation.method_labels import method_label
from wsseg.inference.run import load_run
from wsseg.report.formatting import UNDEFINED
from wsseg.suite.definition import Suite, load_suite, plan
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job_fingerprint import job_fingerprint
from wsseg.suite.job_provenance import SOURCE_TREE, source_commit

BENCHMARKS = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Row:
    """The pixel AUROC of a class in a run; None if the test cases do not define it."""

    method: str
    seed: int
    fold: int | None
    class_name: str
    cases: int
    pixels: int
    pixel_auroc: float | None
    commit: str
    machine: str
    versions: str
    date: str
    fingerprint: str


def rows_file(suite: str) -> Path:
    """Return the file with the rows of a suite, which is a folder of benchmarks."""
    return BENCHMARKS / suite / "pixel_auroc.csv"


def measure(suite: str, out: Path) -> Iterator[Row]:
    """Yield the rows of the runs in the folder of a suite that has finished.

    Raises:
        InputError: A run is missing.
    """
    path = BENCHMARKS / suite / "suite.yaml"
    today = datetime.now(UTC).date().isoformat()
    for job in plan(load_suite(path), path.parent):
        run = load_run(SuiteFolder(out).run(job.folder).path)
        found = pooled(run, list(measure_cases(run, held_out_cases(run))))
        for name, each in found.items():
            yield Row(
                *(job.method, job.recipe.seed, job.fold),
                class_name=name,
                cases=each.cases,
                pixels=sum(each.uncalibrated.pixels),
                pixel_auroc=None if each.pixel_auc is None else round(each.pixel_auc, 6),
                commit=source_commit(SOURCE_TREE),
                machine=machine(),
                versions=versions(),
                date=today,
                fingerprint=job_fingerprint(job),
            )


def pixel_auroc_table(suite: Suite, rows: list[Row]) -> str:
    """Return the mean of each method over its runs, and the smallest and largest value."""
    values = defaultdict[str, list[float]](list)
    for row in rows:
        own = values[method_label(row.method, suite.chosen_from)]
        own += [] if row.pixel_auroc is None else [row.pixel_auroc]
    header = ("Method", "Pixel AUROC, mean (range)", "Runs")
    body = (
        (method, f"{mean(own):.3f} ({min(own):.3f}–{max(own):.3f})" if own else UNDEFINED, len(own))
        for method, own in values.items()
    )
    return markdown_table("lrr", header, *body)


def main() -> None:
    """Measure the runs of a suite."""
    suite, out = sys.argv[1:]
    rows = list[Row]()
    for row in measure(suite, Path(out)):
        print(f"{row.method}, seed {row.seed}, fold {row.fold}: {row.pixel_auroc}", flush=True)
        rows.append(row)
    write_rows(rows_file(suite), Row, rows)


if __name__ == "__main__":
    main()
