"""Inference on slices with other libraries."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.phantom_run import Sizes, open_run, train_run, without_cropping
from benchmarks.speed.plain_prediction import BATCH_SLICES, plain_predictor
from benchmarks.speed.prediction import batch_of, logits_in_parts
from benchmarks.speed.timing import REPEATS, Measurement, ratios, time_in_turns

GIGA = 1e9


@dataclass(frozen=True)
class Peers:
    """From eight stacks of slices in memory to their logits, with the same number of threads.

    MONAI's sliding-window inferer runs the network and weights of wsseg, with a window as large as
    a slice and with windows of half its side lengths (and the default overlap of a quarter). The
    Unet of segmentation-models-pytorch, a resnet18 with a decoder of the same width, is another
    network; the table shows the operations per slice of both.
    """

    sizes: Sizes = field(default_factory=lambda: Sizes(epochs=1))
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield times and ratios."""
        with TemporaryDirectory() as name, empty_cache():
            run_folder, case = train_run(Path(name), self.sizes)
            run = open_run(run_folder)
            network, unet = (
                plain_predictor(run).network,
                smp_unet(self.sizes.width, run.recipe.input.slices),
            )
            batch = batch_of(run, case)
        image = batch.image[:, 0].contiguous()
        yield Measurement("a slice, wsseg's network", (gflop(network, image),), "GFLOP")
        yield Measurement(
            "a slice, segmentation-models-pytorch's Unet", (gflop(unet, image),), "GFLOP"
        )
        full_slices = without_cropping(run)
        alternatives = {
            "wsseg": lambda: logits_in_parts(run, batch),
            "wsseg, not cropped": lambda: logits_in_parts(full_slices, batch),
            "MONAI, window as large as a slice": lambda: slide(network, image, self.sizes.size),
            "MONAI, windows of half the sides": lambda: slide(network, image, self.sizes.size // 2),
            "segmentation-models-pytorch's Unet": lambda: unet(image),
        }
        with torch.inference_mode():
            yield from comparison(time_in_turns(alternatives, self.repeats))


def comparison(seconds: Mapping[str, tuple[float, ...]]) -> Iterator[Measurement]:
    """Yield the time of each alternative, and how much longer each peer takes than wsseg."""
    for name, each in seconds.items():
        yield Measurement(f"{BATCH_SLICES} slices, {name}", each, "s")
    for name, each in seconds.items():
        if not name.startswith("wsseg"):
            yield Measurement(f"speed-up over {name}", ratios(each, seconds["wsseg"]), "×")
            uncropped = ratios(each, seconds["wsseg, not cropped"])
            yield Measurement(f"speed-up over {name}, not cropped", uncropped, "×")


def slide(network: nn.Module, image: Tensor, side: int) -> Tensor:
    """Run a network in MONAI's windows of `side` x `side` pixels."""
    from monai.inferers.inferer import SlidingWindowInferer  # takes seconds to import

    inferer = SlidingWindowInferer(roi_size=(side, side), sw_batch_size=BATCH_SLICES)
    logits = inferer(image, network)
    assert isinstance(logits, Tensor)  # noqa: S101
    return logits


def smp_unet(width: int, slices: int) -> nn.Module:
    """Return a Unet with `width` channels at full resolution, doubled at each level."""
    channels = tuple(width * 2**level for level in reversed(range(5)))
    unet: nn.Module = smp.Unet(
        "resnet18", encoder_weights=None, decoder_channels=channels, in_channels=slices, classes=1
    )
    return unet.eval()


@torch.inference_mode()
def gflop(network: nn.Module, image: Tensor) -> float:
    """Return the billions of operations per slice; a multiplication with addition counts as two."""
    with FlopCounterMode(display=False) as counter:
        network(image)
    return float(counter.get_total_flops()) / GIGA / len(image)
