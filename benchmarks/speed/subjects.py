"""All that is measured, in the page's order."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from benchmarks.speed.cases import Cases
from benchmarks.speed.compiled import Compiled
from benchmarks.speed.em import Em
from benchmarks.speed.limits import Limits
from benchmarks.speed.peers import Peers
from benchmarks.speed.precision import Learnt
from benchmarks.speed.prediction import Predicting
from benchmarks.speed.prepare import Preparation
from benchmarks.speed.startup import Startup
from benchmarks.speed.timing import Row
from benchmarks.speed.train import Train


class Subject(Protocol):
    """One thing that is measured: its fields are its sizes, its docstring its part of the page."""

    def measure(self) -> Iterator[Row]:
        """Yield rows as they are known."""


SUBJECTS: Mapping[str, Subject] = {
    "limits": Limits(),
    "train": Train(),
    "precision": Learnt(),
    "em": Em(),
    "compiled": Compiled(),
    "predict": Predicting(),
    "peers": Peers(),
    "prepare": Preparation(),
    "startup": Startup(),
    "cases": Cases(),
}
