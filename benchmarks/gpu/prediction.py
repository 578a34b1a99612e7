"""Prediction of a scan from file to file on the card."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.gpu.agreement import SIZES
from benchmarks.gpu.device import device, peak_gib, time_calls_in_turns
from benchmarks.gpu.trained import trained_run
from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.phantom_run import STAGE, Sizes
from benchmarks.speed.plain_prediction import BATCH_SLICES, plain_predictor, slice_stacks
from benchmarks.speed.prediction import predict_file, prepare_case
from benchmarks.speed.scan_file import write_scan
from benchmarks.speed.timing import Measurement, ratios
from wsseg.core.case import Case
from wsseg.data.mask_files import write_mask
from wsseg.data.prepare import Prepared
from wsseg.data.scan_grid import to_scan_grid
from wsseg.inference.run import Run
from wsseg.inference.stage_prediction import stage_masks


@dataclass(frozen=True)
class Prediction:
    """A compressed scan of 512 × 512 × 300 voxels from file to file.

    It is read and prepared (slices of 5 mm, 256 × 256 pixels), its lung is found on the CPU, the
    paper's network runs in bfloat16, and the mask is written. The network's time includes loading
    its slices and the transfers to and from the card. Plain PyTorch runs the network on full slices
    in float32 with PyTorch's defaults; its scan is prepared and written in the same way.
    """

    run: Sizes = field(default_factory=lambda: SIZES)
    size: int = 512
    slices: int = 300
    repeats: int = 3

    def measure(self) -> Iterator[Measurement]:
        """Yield times and memory."""
        run = trained_run(self.run).open("bfloat16")
        with TemporaryDirectory() as name:
            folder = Path(name)
            case = Case("scan", "scan", write_scan(folder / "ct.nii.gz", self.size, self.slices))
            plain = PlainPrediction(run)
            alternatives = {
                "wsseg": partial(predict_file, run, case, folder),
                "of which: the scan read, the lung found": partial(prepare_case, run, case),
                "plain PyTorch, float32": partial(plain.predict, case, folder / "plain.nii.gz"),
            }
            seconds = time_calls_in_turns(alternatives, 1, self.repeats)
            for each, bound in zip(seconds, (3, None, None), strict=True):
                yield Measurement(f"file to file, {each}", seconds[each], "s", most=bound)
            gain = ratios(seconds["plain PyTorch, float32"], seconds["wsseg"])
            yield Measurement("file to file, plain PyTorch / wsseg", gain, "×")
            with empty_cache():
                yield from self._network(run, plain, run.prepare(case))
            memory = peak_gib(partial(predict_file, run, case, folder))
        yield Measurement("peak memory, wsseg", (memory,), "GiB")

    def _network(
        self, run: Run, plain: "PlainPrediction", prepared: Prepared
    ) -> Iterator[Measurement]:
        trained = run.pipeline.stages[STAGE]
        scan = run.pipeline.scan(trained.stage, prepared)
        alternatives: dict[str, Callable[[], object]] = {
            "wsseg": partial(stage_masks, trained, scan, run.pipeline.fabric),
            "plain PyTorch, float32": partial(plain.masks, prepared),
        }
        seconds = time_calls_in_turns(alternatives, 1, self.repeats)
        yield Measurement("slices that the network sees", (len(scan.slices),), "slices")
        yield Measurement("network with transfers, wsseg", seconds["wsseg"], "s", most=0.5)
        yield Measurement(
            "network with transfers, plain PyTorch, float32",
            seconds["plain PyTorch, float32"],
            "s",
        )


class PlainPrediction:
    """The network of a run on the card, in plain PyTorch: on full slices, in NCHW and float32."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.network = plain_predictor(run).network.to(device())

    def predict(self, case: Case, path: Path) -> None:
        """Segment a scan with an empty cache and write its mask to `path`."""
        with empty_cache():
            prepared = self._run.prepare(case)
            mask = to_scan_grid(prepared, self.masks(prepared).numpy())
            write_mask(path, mask.astype(np.uint8), prepared.grid)

    @torch.inference_mode()
    def masks(self, prepared: Prepared) -> torch.Tensor:
        """Return where the logits are positive, (Z, H, W), on the CPU."""
        stacks = slice_stacks(self._run, prepared)
        parts = [
            self.network(part.to(device()).contiguous()) > 0 for part in stacks.split(BATCH_SLICES)
        ]
        return torch.cat(parts)[:, 0].cpu()
