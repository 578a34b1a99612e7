"""Find the committed rows that older settings or code have made.

Run it: python -m benchmarks.stale_rows

A suite is stale if a row has no fingerprint, or another one than its job has now.
"""

from collections.abc import Iterator
from pathlib import Path

from wsseg.config.columns import FINGERPRINT
from wsseg.evaluation.rows import read_rows
from wsseg.suite.definition import load_suite, plan
from wsseg.suite.folder import run_path
from wsseg.suite.job_fingerprint import job_fingerprint

BENCHMARKS = Path(__file__).resolve().parent


def suites_with_rows() -> list[Path]:
    """Return the folders of suites that have committed rows."""
    folders = [path.parent for path in sorted(BENCHMARKS.glob("*/suite.yaml"))]
    return [folder for folder in folders if (folder / "rows.csv").exists()]


def stale_jobs(folder: Path) -> list[str]:
    """Return the jobs whose rows were made by other settings or code than the present ones."""
    path = folder / "suite.yaml"
    jobs = plan(load_suite(path), path.parent)
    now = {job.folder.as_posix(): job_fingerprint(job) for job in jobs}
    return [job for job, made_by in _fingerprints(folder / "rows.csv") if now.get(job) != made_by]


def how_to_update(folder: Path) -> str:
    """Return the commands that make the rows of a suite again."""
    out = f"runs/{folder.name}"
    return (
        f"wsseg bench run benchmarks/{folder.name}/suite.yaml --out {out}; "
        f"cp {out}/rows.csv benchmarks/{folder.name}/; python -m benchmarks.write_readmes"
    )


def _fingerprints(rows: Path) -> Iterator[tuple[str, str | None]]:
    """Yield the job of each group of rows, and the fingerprint in them; None without any."""
    table = read_rows(rows)
    for _, own in table.groupby(["method", "seed", "fold"], sort=False):
        method, seed, fold = (own[name].iloc[0] for name in ("method", "seed", "fold"))
        found = set(own[FINGERPRINT]) if FINGERPRINT in own else set()
        job = run_path(str(method), int(seed), int(fold) if fold else None)
        yield job.as_posix(), found.pop() if len(found) == 1 else None


def main() -> None:
    """Print the suites whose rows are stale, and how to make them again."""
    for folder in suites_with_rows():
        stale = stale_jobs(folder)
        state = f"{len(stale)} jobs are stale: {how_to_update(folder)}" if stale else "up to date"
        print(f"{folder.name}: {state}")


if __name__ == "__main__":
    main()
