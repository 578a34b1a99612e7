"""A scan's slices through the network, as other libraries are used for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import segmentation_models_pytorch as smp
import torch
from monai.inferers.inferer import SlidingWindowInferer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.phantom_run import Sizes, opened, trained_run, uncropped
from benchmarks.speed.plain_prediction import BATCH_SLICES, plain
from benchmarks.speed.prediction import batch_of, logits_in_parts
from benchmarks.speed.timing import REPEATS, Row, by_turns, ratios

GIGA = 1e9


@dataclass(frozen=True)
class Peers:
    """Eight windows of slices in memory, to logits, with the same threads.

    MONAI's sliding-window inferer has the network and weights that wsseg has, with a window as
    large as a slice and with windows of half its sides (its default overlap of a quarter). The Unet
    of segmentation-models-pytorch, a resnet18 with as wide a decoder, in plain use, is another
    network: how much each computes for a slice is in the table.
    """

    sizes: Sizes = field(default_factory=lambda: Sizes(epochs=1))
    repeats: int = REPEATS

    def measure(self) -> Iterator[Row]:
        """Yield times and ratios."""
        with TemporaryDirectory() as name, empty_cache():
            run_folder, case = trained_run(Path(name), self.sizes)
            run = opened(run_folder)
            network, unet = plain(run).network, smp_unet(self.sizes.width, run.recipe.input.slices)
            batch = batch_of(run, case)
        image = batch.image.contiguous()
        yield Row("a slice, wsseg's network", (gflop(network, image),), "GFLOP")
        yield Row("a slice, segmentation-models-pytorch's Unet", (gflop(unet, image),), "GFLOP")
        whole = uncropped(run)
        ways = {
            "wsseg": lambda: logits_in_parts(run, batch),
            "wsseg, not cropped": lambda: logits_in_parts(whole, batch),
            "MONAI, window as large as a slice": lambda: slide(network, image, self.sizes.size),
            "MONAI, windows of half the sides": lambda: slide(network, image, self.sizes.size // 2),
            "segmentation-models-pytorch's Unet": lambda: unet(image),
        }
        with torch.inference_mode():
            yield from compared(by_turns(ways, self.repeats))


def compared(seconds: Mapping[str, tuple[float, ...]]) -> Iterator[Row]:
    """Yield the time of each, and how much longer each peer takes than wsseg."""
    for name, each in seconds.items():
        yield Row(f"{BATCH_SLICES} slices, {name}", each, "s")
    for name, each in seconds.items():
        if not name.startswith("wsseg"):
            yield Row(f"wsseg is faster than {name}", ratios(each, seconds["wsseg"]), "×")
            plainly = ratios(each, seconds["wsseg, not cropped"])
            yield Row(f"wsseg, not cropped, is faster than {name}", plainly, "×")


def slide(network: nn.Module, image: Tensor, side: int) -> Tensor:
    """Run a network in MONAI's windows of `side` x `side` pixels."""
    inferer = SlidingWindowInferer(roi_size=(side, side), sw_batch_size=BATCH_SLICES)
    logits = inferer(image, network)
    assert isinstance(logits, Tensor)  # noqa: S101
    return logits


def smp_unet(width: int, slices: int) -> nn.Module:
    """Return a Unet whose decoder ends with `width` channels and doubles them each level down."""
    channels = tuple(width * 2**level for level in reversed(range(5)))
    unet: nn.Module = smp.Unet(
        "resnet18", encoder_weights=None, decoder_channels=channels, in_channels=slices, classes=1
    )
    return unet.eval()


@torch.inference_mode()
def gflop(network: nn.Module, image: Tensor) -> float:
    """Count what a slice costs, two for a multiplication and addition."""
    with FlopCounterMode(display=False) as counter:
        network(image)
    return float(counter.get_total_flops()) / GIGA / len(image)
