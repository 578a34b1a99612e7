"""All parts that are measured: at their sizes on a GPU, and at tiny sizes for a trial."""

from collections.abc import Mapping

from benchmarks.gpu.agreement import Agreement
from benchmarks.gpu.card import Card
from benchmarks.gpu.compiled import Compiled
from benchmarks.gpu.correct import Correct
from benchmarks.gpu.em import Em
from benchmarks.gpu.graphs import Graphs
from benchmarks.gpu.largest_batch import LargestBatch
from benchmarks.gpu.peers import Peers
from benchmarks.gpu.prediction import Prediction
from benchmarks.gpu.training import Training
from benchmarks.speed import paper, phantom_run
from benchmarks.speed.timing import Subject

PARTS: Mapping[str, Subject] = {
    "correct": Correct(),
    "card": Card(),
    "train": Training(),
    "agree": Agreement(),
    "predict": Prediction(),
    "em": Em(),
    "batches": LargestBatch(),
    "peers": Peers(),
    "graphs": Graphs(),
    "compiled": Compiled(),
}

_STEP = paper.Sizes(slices=3, pixels=32, width=2, batch=2)
_RUN = phantom_run.Sizes(size=64, slices=8, width=2, epochs=1)
TRIAL: Mapping[str, Subject] = {
    "correct": Correct(_STEP, _STEP),
    "card": Card(64, 1, 1),
    "train": Training(_STEP, Card(64, 1, 1), 1, 1),
    "agree": Agreement(_RUN),
    "predict": Prediction(_RUN, 64, 12, 1),
    "em": Em(_STEP, 1, 1),
    "batches": LargestBatch(_STEP, 1, 1, 1),
    "peers": Peers(_RUN, _STEP, 1, 1),
    "graphs": Graphs(_STEP, 1, 1),
    "compiled": Compiled(_STEP, 1, 1),
}
