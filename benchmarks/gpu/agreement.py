"""Agreement of predicted masks between devices and precisions."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gpu.device import float32_fabric, tf32
from benchmarks.gpu.trained import trained_run
from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.phantom_run import STAGE, Sizes, without_cropping
from benchmarks.speed.prediction import dice
from benchmarks.speed.roofline_shares import PERCENT
from benchmarks.speed.timing import Measurement
from wsseg.core.case import Case
from wsseg.inference.run import Run

SIZES = Sizes()


def predicted_mask(run: Run, case: Case) -> NDArray[np.bool_]:
    """Segment a scan with an empty cache, since its names do not depend on the device."""
    with empty_cache():
        return run.predict(case).masks[STAGE]


@dataclass(frozen=True)
class Agreement:
    """The masks of a phantom that the paper's network, trained on two others, predicts.

    The Dice of the masks of two devices or precisions. Float32 on the GPU is without TF32, which
    PyTorch allows in convolutions by default.
    """

    sizes: Sizes = field(default_factory=lambda: SIZES)

    def measure(self) -> Iterator[Measurement]:
        """Yield the share of the lung that is marked, and the Dice of pairs of masks."""
        trained = trained_run(self.sizes)
        case = trained.case
        on_cpu = trained.on(float32_fabric(torch.device("cpu")))
        with empty_cache():
            masks = on_cpu.predict(case).masks
        cpu = masks[STAGE]
        share = PERCENT * float(cpu.sum() / masks["lung"].sum())
        yield Measurement("of the lung, marked by the CPU", (share,), "%")
        exact, fast = trained.open("float32"), trained.open("bfloat16")
        with tf32(allowed=False):
            gpu = predicted_mask(exact, case)
            full = predicted_mask(without_cropping(exact), case)
        default = predicted_mask(exact, case)
        half = predicted_mask(fast, case)
        yield Measurement("Dice, float32, GPU and CPU", (dice(gpu, cpu),), "", least=0.999)
        yield Measurement(
            "Dice, float32, cropped and full slices", (dice(gpu, full),), "", least=0.999
        )
        yield Measurement("Dice, TF32 and float32", (dice(default, gpu),), "", least=0.998)
        yield Measurement("Dice, bfloat16 and float32", (dice(half, gpu),), "", least=0.998)
