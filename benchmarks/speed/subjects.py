"""All subjects that are measured, in the order of the page."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from benchmarks.speed.cases import Cases
from benchmarks.speed.compiled import Compiled
from benchmarks.speed.em import Em
from benchmarks.speed.limits import Limits
from benchmarks.speed.peers import Peers
from benchmarks.speed.precision import Precisions
from benchmarks.speed.prediction import Prediction
from benchmarks.speed.prepare import Preparation
from benchmarks.speed.startup import Startup
from benchmarks.speed.timing import Measurement
from benchmarks.speed.train import Train


class Subject(Protocol):
    """A subject of the benchmark: its fields are its sizes, its docstring is shown on the page."""

    def measure(self) -> Iterator[Measurement]:
        """Yield measurements as they are made."""


SUBJECTS: Mapping[str, Subject] = {
    "limits": Limits(),
    "train": Train(),
    "precision": Precisions(),
    "em": Em(),
    "compiled": Compiled(),
    "predict": Prediction(),
    "peers": Peers(),
    "prepare": Preparation(),
    "startup": Startup(),
    "cases": Cases(),
}
