"""The results in a suite's rows: what a repeated run must reproduce exactly."""

import csv
from pathlib import Path
from typing import TypeAlias

Rows: TypeAlias = list[dict[str, str]]

OF_ONE_RUN = ("run.commit", "run.threads", "run.date", "run.seconds")


def results(rows: Path) -> Rows:
    """Return the rows of a file as texts, without what differs between runs of the same job."""
    with rows.open(newline="", encoding="utf-8") as file:
        return [
            {name: cell for name, cell in row.items() if name not in OF_ONE_RUN}
            for row in csv.DictReader(file)
        ]
