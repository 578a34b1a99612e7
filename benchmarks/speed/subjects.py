"""All subjects that are measured, in the order of the page."""

from collections.abc import Mapping

from benchmarks.speed.cases import Cases
from benchmarks.speed.compiled import Compiled
from benchmarks.speed.em import Em
from benchmarks.speed.encoders import Encoders
from benchmarks.speed.limits import Limits
from benchmarks.speed.peers import Peers
from benchmarks.speed.precision import Precisions
from benchmarks.speed.prediction import Prediction
from benchmarks.speed.prepare import Preparation
from benchmarks.speed.startup import Startup
from benchmarks.speed.timing import Subject
from benchmarks.speed.train import Train

SUBJECTS: Mapping[str, Subject] = {
    "limits": Limits(),
    "train": Train(),
    "precision": Precisions(),
    "em": Em(),
    "compiled": Compiled(),
    "encoders": Encoders(),
    "predict": Prediction(),
    "peers": Peers(),
    "prepare": Preparation(),
    "startup": Startup(),
    "cases": Cases(),
}
