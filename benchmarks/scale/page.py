"""The page of the benchmark, made from its rows."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from benchmarks.pages import markdown_table, measured_on
from benchmarks.scale.cases import CACHE, CACHE_SHARE, CACHE_SIZES
from benchmarks.scale.estimate import TRIAL_CASES, TRIAL_EPOCHS
from benchmarks.scale.faults import FAULTS
from benchmarks.scale.rows import FAILED, Row

Table: TypeAlias = Mapping[str, Mapping[str, float]]  # by the name of a row, then by quantity

MOST_OVERHEAD = 0.05  # of the CPU time
MOST_MIB = 1024.0
MOST_GROWTH = 1.5  # of the cost of one more case, from the smaller to the larger cohorts
MOST_CACHE = 1.2  # of its limit
MOST_ERROR = 0.2  # of an estimate
NOT_MEASURED = "Not measured."

PAGE = """\
# Many jobs and many cases

```
python -m benchmarks.scale
```

This command runs a suite under faults on a local Dask cluster, checks and plans cohorts of many
cases, and compares estimates of training time with real runs. It saves `rows.csv` after each part
and writes this page. `--part jobs` measures one part; `--jobs 6 --workers 2 --cases 40` is a short
version of all parts.

## A suite under faults

The suite has four methods, with tiny networks, on ten phantoms of 64 × 64 × 10 voxels. Each job
is the run of a method, a seed and a fold, and the methods share the stages that they have in
common. A Dask cluster on the same machine runs it with workers of one thread each. After an error,
the cause is removed and the same command is run again. The rows must equal those of the
undisturbed run in every digit of the file.

{faults}

{jobs}

The overhead is the share of the Dask scheduler and of the command in the CPU time of scheduler,
command and workers, between the first and the last job that finished. The time of workers includes
the start of replacements.

{jobs_verdict}

## Many cases

The cases are simulated: scans of 16 × 16 × 3 voxels, each with a mask and a tag. The cost of
reading voxels is measured in [benchmarks/speed](../speed/README.md). `data check` reads all files
of a recipe that finds a region in each scan; a second check uses the stored measurements. The dry
run plans a suite of 15 jobs, and the manifest lists the digests of all files of the training cases.
The checks are run once. The other two steps are run in five rounds over all numbers of cases, and
the run with the least CPU time counts, because other work on the machine can only add to it. Memory
is the peak of anonymous memory; the code of libraries comes in addition.

{cases}

{cases_verdict}

## Estimates of training time

[Several GPUs and many scans](../../docs/scale.md) estimates hours as
cases × slices × epochs / rate. The rate is the median over the epochs of a short run
with {trial_cases} cases and {trial_epochs} epochs, without the first.
The real time is that of all epochs; starting the command and preparing the scans are not included.

{estimates}

{estimates_verdict}

## Measured on

{measured}
"""


def page(rows: Sequence[Row]) -> str:
    """Return the page."""
    jobs, cases, estimates = (_table(rows, part) for part in ("jobs", "cases", "estimate"))
    return PAGE.format(
        faults="\n".join(f"- {fault().name}: {fault().what}" for fault in FAULTS[1:]),
        jobs=jobs_table(jobs) if jobs else NOT_MEASURED,
        jobs_verdict=jobs_verdict(jobs) if jobs else "",
        cases=cases_table(cases) if cases else NOT_MEASURED,
        cases_verdict=cases_verdict(cases) if cases else "",
        estimates=estimates_table(estimates) if estimates else NOT_MEASURED,
        estimates_verdict=estimates_verdict(estimates) if estimates else "",
        measured=measured_on(rows) + "\n" + _commits(rows) if rows else NOT_MEASURED,
        trial_cases=TRIAL_CASES,
        trial_epochs=TRIAL_EPOCHS,
    )


def jobs_table(measured: Table) -> str:
    """Return a row for each fault."""
    header = ("", "jobs", "faults", "commands", "s", "s a job", "overhead", "equal rows")
    return markdown_table("lrrrrrrr", header, *(_fault_row(*each) for each in measured.items()))


def _fault_row(name: str, measured: Mapping[str, float]) -> Sequence[object]:
    if "seconds" not in measured:
        return (name, *[""] * 6, next(iter(measured)))
    jobs, seconds = measured["jobs"], measured["seconds"]
    counts = [f"{measured[each]:.0f}" for each in ("jobs", "faults", "commands", "seconds")]
    equal = f"{measured['equal rows']:.0f} of {measured['rows']:.0f}"
    return (name, *counts, f"{seconds / jobs:.1f}", f"{100 * measured['overhead']:.1f} %", equal)


def jobs_verdict(measured: Table) -> str:
    """Return whether all rows are equal and the overhead is small."""
    done = [each for each in measured.values() if "seconds" in each]
    failed = any(quantity.startswith(FAILED) for each in measured.values() for quantity in each)
    equal = not failed and all(each["equal rows"] == each["rows"] for each in done)
    small = measured["undisturbed"]["overhead"] <= MOST_OVERHEAD
    return (
        f"Required: all rows are equal under each fault{_met(equal)}, and the overhead of the "
        f"undisturbed suite is at most {100 * MOST_OVERHEAD:.0f} %{_met(small)}."
    )


def cases_table(measured: Table) -> str:
    """Return a row for each step and number of cases."""
    header = ("step", "cases", "s", "CPU s", "ms of CPU for each more case", "peak MiB")
    rows: list[Sequence[object]] = []
    for step, by_size in _steps(measured).items():
        growth = dict(_growth_ms(by_size))
        for cases, cost in by_size.items():
            more = f"{growth[cases]:.2f}" if cases in growth else ""
            numbers = [f"{cost[each]:.0f}" for each in ("seconds", "cpu_s")]
            rows.append((step, f"{cases:,}", *numbers, more, f"{cost['peak_mib']:.0f}"))
    return markdown_table("lrrrrr", header, *rows)


def cases_verdict(measured: Table) -> str:
    """Return whether time grows linearly, memory is small and the cache is bounded."""
    steps = _steps(measured)
    linear = all(_is_linear(by_size) for by_size in steps.values())
    small = all(cost["peak_mib"] <= MOST_MIB for each in steps.values() for cost in each.values())
    cache = measured[CACHE]
    free, limit, peak = (cache[f"{each}, MB"] for each in CACHE_SIZES)
    return (
        f"Required: one more case costs at most {MOST_GROWTH:g} times as much between the two "
        f"largest cohorts as from the smallest on{_met(linear)}, and no step needs more than "
        f"{MOST_MIB:.0f} MiB{_met(small)}.\n\n"
        f"The cache of the smallest cohort has {free:.1f} MB. With a limit of "
        f"{100 * CACHE_SHARE:.0f} % of that, {limit:.1f} MB, it had at most {peak:.1f} MB while it "
        f"grew. Required: at most {MOST_CACHE:g} times the limit, since it is measured only when a "
        f"twentieth of the limit was written, and small files take more space on the disk than "
        f"they have bytes{_met(peak <= MOST_CACHE * limit)}."
    )


def estimates_table(measured: Table) -> str:
    """Return a row for each run."""
    header = (
        *("run", "cases", "slices", "epochs", "slices/s", "estimated s", "real s", "difference"),
        "command s",
    )
    return markdown_table(
        "lrrrrrrrr",
        header,
        *(
            (
                f"{name}, {each['pixels']:.0f} × {each['pixels']:.0f} pixels",
                *(f"{each[key]:.0f}" for key in ("cases", "slices", "epochs", "slices/s")),
                *(f"{each[key]:.1f}" for key in ("estimated seconds", "seconds of epochs")),
                f"{100 * _error(each):+.0f} %",
                f"{each['seconds of command']:.1f}",
            )
            for name, each in measured.items()
        ),
    )


def estimates_verdict(measured: Table) -> str:
    """Return whether the estimates are right."""
    right = all(abs(_error(each)) <= MOST_ERROR for each in measured.values())
    return f"Required: a difference of at most {100 * MOST_ERROR:.0f} %{_met(right)}."


def _error(measured: Mapping[str, float]) -> float:
    """Return the relative error of an estimate."""
    return measured["estimated seconds"] / measured["seconds of epochs"] - 1


def _steps(measured: Table) -> dict[str, dict[int, Mapping[str, float]]]:
    """Return the costs of each step by the number of cases."""
    steps: dict[str, dict[int, Mapping[str, float]]] = defaultdict(dict)
    for name, cost in measured.items():
        if name != CACHE:
            step, _, cases = name.removesuffix(" cases").rpartition(", ")
            steps[step][int(cases)] = cost
    return dict(steps)


def _growth_ms(by_size: Mapping[int, Mapping[str, float]]) -> Iterator[tuple[int, float]]:
    """Yield the CPU time of each more case, for each number of cases but the smallest."""
    sizes = sorted(by_size)
    for fewer, more in pairwise(sizes):
        added_s = by_size[more]["cpu_s"] - by_size[fewer]["cpu_s"]
        yield more, 1000 * added_s / (more - fewer)


def _is_linear(by_size: Mapping[int, Mapping[str, float]]) -> bool:
    """Return whether more cases cost the same at the largest size as from the smallest on."""
    smallest, *_, second, largest = sorted(by_size)

    def slope(fewer: int, more: int) -> float:
        return (by_size[more]["cpu_s"] - by_size[fewer]["cpu_s"]) / (more - fewer)

    return slope(second, largest) <= MOST_GROWTH * slope(smallest, second)


def _met(is_met: bool) -> str:  # noqa: FBT001
    return " (met)" if is_met else " (**not met**)"


def _table(rows: Sequence[Row], part: str) -> Table:
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.part == part:
            table[row.name][row.quantity] = row.value
    return dict(table)


def _commits(rows: Sequence[Row]) -> str:
    return "\n".join(dict.fromkeys(f"- commit {row.commit}, {row.date}" for row in rows))
