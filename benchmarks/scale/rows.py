"""The rows of the benchmark: each is one measured number, and where it comes from."""

from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.pages import machine, versions
from wsseg.suite.job_provenance import SOURCE_TREE, source_commit

PARTS = ("jobs", "cases", "estimate")
FAILED = "failed"  # start of the quantity of a suite that was not done or not disturbed as planned


@dataclass(frozen=True)
class Measurement:
    """A measured number of a part of the benchmark; `name` is a row of the part's table."""

    part: str
    name: str
    quantity: str
    value: float


@dataclass(frozen=True)
class Row:
    """A row of rows.csv."""

    part: str
    name: str
    quantity: str
    value: float
    commit: str
    date: str  # in UTC
    machine: str
    versions: str

    @classmethod
    def of(cls, measured: Measurement) -> "Row":
        """Return the row of a measurement of this machine, now."""
        return cls(
            measured.part,
            measured.name,
            measured.quantity,
            round(measured.value, 4),
            source_commit(SOURCE_TREE),
            datetime.now(UTC).date().isoformat(),
            machine(),
            versions(),
        )
