"""From a scan's file to its mask's file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.limits import MatrixProduct
from benchmarks.speed.phantom_run import STAGE, Sizes, opened, trained_run, uncropped
from benchmarks.speed.plain_prediction import BATCH_SLICES, plain, windows_of
from benchmarks.speed.timing import REPEATS, Row, by_turns, peak_mib, rates, ratios
from wsseg.core.batch import Batch
from wsseg.core.case import Case
from wsseg.inference.run import Run
from wsseg.inference.stage_prediction import BATCH_SLICES as PREDICTED_AT_ONCE
from wsseg.inference.stage_prediction import stage_logits

PERCENT = 100


@dataclass(frozen=True)
class Predicting:
    """A phantom scan, from its file to its mask's: read, lung found, network run, mask written.

    The network is the paper's UNet, trained on two other phantoms for a few epochs, so that its
    mask is not empty. Plain is the same with every slice whole, NCHW, float32; how a scan is
    prepared and written is the same in all. Memory is what a new process that has opened the run
    needs more at its highest.
    """

    sizes: Sizes = field(default_factory=Sizes)
    n: int = 4096  # of the matrix product that is the limit
    repeats: int = REPEATS

    def measure(self) -> Iterator[Row]:
        """Yield times, the network's rate, agreement and memory."""
        with TemporaryDirectory() as name, empty_cache():
            folder = Path(name)
            run_folder, case = trained_run(folder, self.sizes)
            run = opened(run_folder)
            exact = opened(run_folder, "float32")
            yield from self._times(run, exact, case, folder)
            yield from self._inside(run, case)
            yield from _agreement(run, exact, case)
            peak = peak_mib(predict_file, run, case, folder)
            yield Row("memory, wsseg", (peak,), "MiB")
            theirs = peak_mib(plain(run).predict, case, folder / "plain.nii.gz")
            yield Row("memory, plain", (theirs,), "MiB")

    def _times(self, run: Run, exact: Run, case: Case, folder: Path) -> Iterator[Row]:
        other, whole, exact_whole = plain(run), uncropped(run), uncropped(exact)
        ways = {
            "plain": lambda: other.predict(case, folder / "plain.nii.gz"),
            "uncropped": lambda: predict_file(whole, case, folder),
            "wsseg": lambda: predict_file(run, case, folder),
            "uncropped, float32": lambda: predict_file(exact_whole, case, folder),
            "float32": lambda: predict_file(exact, case, folder),
            "without": lambda: prepare_alone(run, case),
        }
        seconds = by_turns(ways, self.repeats)
        yield Row("plain PyTorch", seconds["plain"], "s")
        yield Row("wsseg, not cropped", seconds["uncropped"], "s")
        yield Row("wsseg", seconds["wsseg"], "s")
        yield Row("of each: the scan read, the lung found", seconds["without"], "s")
        plainly = ratios(seconds["plain"], seconds["uncropped"])
        yield Row("wsseg, not cropped, is faster than plain", plainly, "×", least=3)
        crop = ratios(seconds["uncropped"], seconds["wsseg"])
        yield Row("cropped to the lung's box, it is faster again", crop, "×", least=1.5)
        crop = ratios(seconds["uncropped, float32"], seconds["float32"])
        yield Row("the same in float32", crop, "×")
        yield Row("wsseg is faster than plain", ratios(seconds["plain"], seconds["wsseg"]), "×")

    def _inside(self, run: Run, case: Case) -> Iterator[Row]:
        """Compare the network's rate with that of a matrix product, and what cropping saves it."""
        batch, product = batch_of(run, case), MatrixProduct(self.n, torch.bfloat16)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            plain(run).network(batch.image)
        ways: dict[str, Callable[[], object]] = {
            "uncropped": partial(logits_in_parts, uncropped(run), batch),
            "cropped": partial(logits_in_parts, run, batch),
            "product": product,
        }
        seconds = by_turns(ways, self.repeats)
        rate = rates(counter.get_total_flops(), seconds["uncropped"])
        share = ratios(rate, rates(product.flop, seconds["product"]))
        percent = tuple(PERCENT * each for each in share)
        yield Row("the network's rate, of a bfloat16 matrix product's", percent, "%", least=85)
        crop = ratios(seconds["uncropped"], seconds["cropped"])
        yield Row("the network alone, cropped, is faster again", crop, "×")


@torch.inference_mode()
def logits_in_parts(run: Run, batch: Batch) -> None:
    """Run the network on as many slices at a time as a prediction does."""
    for image, region, tags in zip(
        *(each.split(PREDICTED_AT_ONCE) for each in (batch.image, batch.region, batch.tags)),
        strict=True,
    ):
        stage_logits(run.pipeline.stages[STAGE], Batch(image, region, tags), run.pipeline.fabric)


def predict_file(run: Run, case: Case, folder: Path) -> None:
    """Segment a scan with an empty cache, into `folder`."""
    with empty_cache():
        run.predict(case).save(folder)


def prepare_alone(run: Run, case: Case) -> None:
    """Bring a scan to the network's grid and find its lung, with an empty cache."""
    with empty_cache():
        run.prepare(case)


def batch_of(run: Run, case: Case) -> Batch:
    """Return slices half-way up a scan, as wsseg lays them out in memory."""
    prepared = run.prepare(case)
    windows = windows_of(run, prepared)
    start = max(0, (len(windows) - BATCH_SLICES) // 2)
    image = windows[start : start + BATCH_SLICES].contiguous(memory_format=torch.channels_last)
    return Batch(
        image=image,
        region=image[:, image.shape[1] // 2, None] != run.recipe.input.fill,
        tags=torch.ones(len(image), 1, dtype=torch.bool),
    )


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return 2 |a and b| / (|a| + |b|)."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def _agreement(run: Run, exact: Run, case: Case) -> Iterator[Row]:
    """Compare masks on the scan's own grid."""
    by_run = [each.predict(case).masks for each in (run, uncropped(run), exact)]
    marked = PERCENT * float(by_run[-1][STAGE].sum() / by_run[-1]["lung"].sum())
    yield Row("of the lung, marked in float32", (marked,), "%")
    fast, whole, slow = (masks[STAGE] for masks in by_run)
    yield Row("Dice of cropped with uncropped", (dice(fast, whole),), "", least=0.999)
    yield Row(
        "Dice of the machine's own precision with float32", (dice(fast, slow),), "", least=0.998
    )
