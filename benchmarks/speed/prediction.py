"""Prediction from file to file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.roofline import Roofline, roofline
from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.limits import NetworkLimits
from benchmarks.speed.phantom_run import STAGE, Sizes, open_run, train_run, without_cropping
from benchmarks.speed.plain_prediction import BATCH_SLICES, plain_predictor, slice_stacks
from benchmarks.speed.plain_training import FILL_HU
from benchmarks.speed.roofline_shares import PERCENT, RooflineShares
from benchmarks.speed.timing import REPEATS, Measurement, peak_mib, ratios, time_in_turns
from wsseg.core.batch import Batch
from wsseg.core.case import Case
from wsseg.inference.run import Run
from wsseg.inference.stage_prediction import BATCH_SLICES as PREDICTED_AT_ONCE
from wsseg.inference.stage_prediction import stage_logits


@dataclass(frozen=True)
class Prediction:
    """A phantom scan from file to file: read it, find the lung, run the network, write the mask.

    The network is the paper's UNet, trained on two other phantoms for a few epochs, so that its
    mask is not empty. "Plain" runs it on full slices, in NCHW and float32; scans are read, prepared
    and written in the same way in all cases. Memory is the peak increase in a new process that has
    opened the run. The network alone is compared with its roofline as in training, above, without
    cropping; at least 85 % is required.
    """

    sizes: Sizes = field(default_factory=Sizes)
    n: int = 4096  # of the matrix product that limits the network
    mib: int = 512  # of the copy
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield times, the rate of the network, agreement and memory."""
        with TemporaryDirectory() as name, empty_cache():
            folder = Path(name)
            run_folder, case = train_run(folder, self.sizes)
            run = open_run(run_folder)
            exact = open_run(run_folder, "float32")
            yield from self._times(run, exact, case, folder)
            yield from self._network_alone(run, case)
            yield from _agreement(run, exact, case)
            peak = peak_mib(predict_file, run, case, folder)
            yield Measurement("memory, wsseg", (peak,), "MiB")
            plain_peak = peak_mib(plain_predictor(run).predict, case, folder / "plain.nii.gz")
            yield Measurement("memory, plain", (plain_peak,), "MiB")

    def _times(self, run: Run, exact: Run, case: Case, folder: Path) -> Iterator[Measurement]:
        plain, uncropped, exact_uncropped = (
            plain_predictor(run),
            without_cropping(run),
            without_cropping(exact),
        )
        alternatives = {
            "plain": lambda: plain.predict(case, folder / "plain.nii.gz"),
            "uncropped": lambda: predict_file(uncropped, case, folder),
            "wsseg": lambda: predict_file(run, case, folder),
            "uncropped, float32": lambda: predict_file(exact_uncropped, case, folder),
            "float32": lambda: predict_file(exact, case, folder),
            "without": lambda: prepare_case(run, case),
        }
        seconds = time_in_turns(alternatives, self.repeats)
        yield Measurement("plain PyTorch", seconds["plain"], "s")
        yield Measurement("wsseg, not cropped", seconds["uncropped"], "s")
        yield Measurement("wsseg", seconds["wsseg"], "s")
        yield Measurement(
            "of which reading the scan and finding the lungs", seconds["without"], "s"
        )
        gain = ratios(seconds["plain"], seconds["uncropped"])
        yield Measurement("speed-up over plain PyTorch, not cropped", gain, "×", least=3)
        crop = ratios(seconds["uncropped"], seconds["wsseg"])
        yield Measurement("further speed-up by cropping to the lungs", crop, "×", least=1.5)
        crop = ratios(seconds["uncropped, float32"], seconds["float32"])
        yield Measurement("further speed-up by cropping to the lungs, float32", crop, "×")
        yield Measurement(
            "speed-up over plain PyTorch", ratios(seconds["plain"], seconds["wsseg"]), "×"
        )

    def _network_alone(self, run: Run, case: Case) -> Iterator[Measurement]:
        """Compare the network with its roofline, and with cropping."""
        batch, limits = batch_of(run, case), NetworkLimits(self.n, self.mib)
        uncropped, computed = (
            partial(logits_in_parts, without_cropping(run), batch),
            list[Roofline](),
        )
        alternatives: dict[str, Callable[[], object]] = {
            **limits.alternatives(),
            "uncropped": uncropped,
            "layers": lambda: computed.append(roofline(uncropped)),
            "cropped": partial(logits_in_parts, run, batch),
        }
        seconds = time_in_turns(alternatives, self.repeats)
        shares = RooflineShares("network", self.sizes.size, computed[1:], limits.rates(seconds))
        yield shares.share(seconds["uncropped"], least=85)
        yield from shares.losses()
        crop = ratios(seconds["uncropped"], seconds["cropped"])
        yield Measurement("further speed-up of the network by cropping", crop, "×")


@torch.inference_mode()
def logits_in_parts(run: Run, batch: Batch) -> None:
    """Run the network on as many slices at a time as prediction does."""
    for image, region, tags in zip(
        *(each.split(PREDICTED_AT_ONCE) for each in (batch.image, batch.region, batch.tags)),
        strict=True,
    ):
        stage_logits(run.pipeline.stages[STAGE], Batch(image, region, tags), run.pipeline.fabric)


def predict_file(run: Run, case: Case, folder: Path) -> None:
    """Segment a scan with an empty cache and write its mask to `folder`."""
    with empty_cache():
        run.predict(case).save(folder)


def prepare_case(run: Run, case: Case) -> None:
    """Prepare a scan and find its lung, with an empty cache."""
    with empty_cache():
        run.prepare(case)


def batch_of(run: Run, case: Case) -> Batch:
    """Return the middle slices of a scan, in the memory format of wsseg."""
    prepared = run.prepare(case)
    stacks = slice_stacks(run, prepared)
    start = max(0, (len(stacks) - BATCH_SLICES) // 2)
    image = stacks[start : start + BATCH_SLICES].contiguous(memory_format=torch.channels_last)
    return Batch(
        image=image[:, None],
        region=image[:, image.shape[1] // 2, None] != FILL_HU,
        tags=torch.ones(len(image), 1, dtype=torch.bool),
    )


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return 2 |a and b| / (|a| + |b|)."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def _agreement(run: Run, exact: Run, case: Case) -> Iterator[Measurement]:
    """Yield the agreement of masks on the grid of the scan."""
    by_run = [each.predict(case).masks for each in (run, without_cropping(run), exact)]
    share = PERCENT * float(by_run[-1][STAGE].sum() / by_run[-1]["lung"].sum())
    yield Measurement("share of the lungs predicted as positive, float32", (share,), "%")
    cropped, full, exact_mask = (masks[STAGE] for masks in by_run)
    yield Measurement(
        "Dice between cropped and not cropped", (dice(cropped, full),), "", least=0.999
    )
    yield Measurement(
        "Dice between the default precision and float32",
        (dice(cropped, exact_mask),),
        "",
        least=0.998,
    )
