"""The page that is made from the rows."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import sqrt
from statistics import mean, stdev, variance

from benchmarks.pages import markdown_table
from benchmarks.stability.measure import Row
from benchmarks.stability.study import RunKey, Study
from wsseg.training.target_health import COLLAPSED_SHARE, FULL_SHARE

REQUIRED, MOST_SD = "em", 0.02
NOT_MEASURED = "Not measured yet."
LEAST, MOST = f"{100 * COLLAPSED_SHARE:g}", f"{100 * FULL_SHARE:g}"
HEAD = f"""\
# The same result on every machine

```
python -m benchmarks.stability --jobs 2
```

This command trains the recipes `em` (`covid/demo-em`, which we recommend) and `phi2`
(`covid/demo-phi2`, with the prior of Wu et al. 2020) with five seeds, in float32 and in bfloat16,
with one thread and with two: 20 runs of each. It saves a row in `rows.csv` after each run and
writes this page from the rows; run it again to continue. For a given seed, precision and number of
threads only change how numbers are rounded. UNet-1 is trained once for each seed, precision and
number of threads, and shared by both recipes.

The Dice of consolidation is pooled over the voxels of the phantom's 8 test cases, 4 of which have
consolidation. `em` was chosen when results on these cases were known, so its mean is optimistic;
this benchmark measures its spread.

A run has collapsed if, at the end of training, less than {LEAST} % or more than
{MOST} % of the pixels in tagged regions are targets; or if no voxel, or more than {MOST} % of the
voxels without consolidation, are predicted.

## Spread
"""
EACH = """
SD is the standard deviation over all runs; SD within a seed is that over its precisions and numbers
of threads. The time is that of the fastest run, because other programs slowed some runs down.

## Each run

Pooled Dice; (c): collapsed.
"""


def page(rows: Sequence[Row], study: Study) -> str:
    """Return the page: requirement, spread of each method, each run, and what made the rows."""
    if not rows:
        return f"{HEAD}\n{NOT_MEASURED}\n"
    parts = (HEAD, summary(rows, study), EACH, runs_table(rows, study), "\n## Measured on\n")
    return "\n".join([*parts, *_origin(rows)]) + "\n"


def summary(rows: Sequence[Row], study: Study) -> str:
    """Return the table of the spread of each method, and the verdict on the requirement."""
    heading = (
        *("Method", "Runs", "Pooled Dice, mean", "SD", "SD within a seed", "Minimum", "Maximum"),
        *("Collapsed", "Minutes, fastest run"),
    )
    planned = list(study.run_keys())
    table = [
        _spread(method, own, sum(key.method == method for key in planned))
        for method in study.recipes
        if (own := [row for row in rows if row.method == method])
    ]
    required = [row for row in rows if row.method == REQUIRED]
    verdict = _verdict(required, sum(key.method == REQUIRED for key in planned))
    return "\n".join([markdown_table("lrrrrrrrr", heading, *table), "", verdict])


def runs_table(rows: Sequence[Row], study: Study) -> str:
    """Return the pooled Dice of each run: a row for each seed, a column for each arithmetic."""
    measured = {row.key: row for row in rows}
    columns = [(precision, n) for n in study.threads for precision in study.precisions]
    heading = ("Method", "Seed", *(f"{p}, {n} thread{'s' * (n > 1)}" for p, n in columns))
    table = (
        (method, seed, *(_cell(measured.get(RunKey(method, seed, *each))) for each in columns))
        for method in study.recipes
        for seed in study.seeds
    )
    return markdown_table("lr" + "r" * len(columns), heading, *table)


def _spread(method: str, rows: Sequence[Row], planned: int) -> tuple[str, ...]:
    dice = [row.dice_pooled for row in rows]
    return (
        method,
        f"{len(rows)} of {planned}",
        f"{mean(dice):.3f}",
        f"{stdev(dice):.3f}" if len(dice) > 1 else "–",
        _sd_within_seeds(rows),
        f"{min(dice):.3f}",
        f"{max(dice):.3f}",
        f"{_collapses(rows)} of {len(rows)}",
        f"{min(row.seconds for row in rows) / 60:.1f}",
    )


def _sd_within_seeds(rows: Sequence[Row]) -> str:
    """Return the root of the mean variance within a seed, of seeds with several runs."""
    ordered = sorted(rows, key=lambda row: row.seed)
    groups = [list(own) for _, own in groupby(ordered, key=lambda row: row.seed)]
    variances = [variance(row.dice_pooled for row in own) for own in groups if len(own) > 1]
    return f"{sqrt(mean(variances)):.3f}" if variances else "–"


def _verdict(rows: Sequence[Row], planned: int) -> str:
    """Return whether the recommended recipe meets its requirement."""
    goal = f"Required of `{REQUIRED}` in all {planned} runs: none has collapsed, SD ≤ {MOST_SD}."
    if len(rows) < 2:  # noqa: PLR2004 - an SD needs two values
        return f"{goal} Not decided: {len(rows)} of {planned} runs are measured."
    is_met = not _collapses(rows) and stdev(row.dice_pooled for row in rows) <= MOST_SD
    if not is_met:
        return f"{goal} **Not met.**"
    if len(rows) < planned:
        return (
            f"{goal} Met by the {len(rows)} runs that are measured, not decided by all {planned}."
        )
    return f"{goal} Met."


def _collapses(rows: Sequence[Row]) -> int:
    return sum(bool(row.health) for row in rows)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{row.dice_pooled:.3f}{' (c)' if row.health else ''}"


def _origin(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what made the rows, in lines of a list."""
    for name in ("device", "versions", "commit", "date"):
        values = dict.fromkeys(getattr(row, name) for row in rows)
        yield f"- {name}: {'; '.join(values)}"
