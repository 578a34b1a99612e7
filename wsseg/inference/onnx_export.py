"""Export of a stage's network, with the normalisation of its input, as ONNX."""

import copy
import io
import logging
import warnings
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wsseg.errors import InputError, WorkError, one_line
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.network import Network
from wsseg.runtime.files import atomic_write

OPSET = 18  # of the operators in the file
TOLERANCE = 1e-3  # absolute, or relative for logits above 1
CHECKED_BATCHES = (1, 3)
EXAMPLE_BATCH = 2


def export_onnx(trained: TrainedStage, path: Path) -> float:
    """Write the network of a stage as ONNX, and return its largest difference from PyTorch.

    The input `image` is (B, C, S, H, W) float32 in the unit of the recipe's input, for any B; the
    output `logits` is (B, K, H, W). The metadata of the file describes classes and input. Regions,
    `standardize` of the input and `mirror` of the stage are not exported.

    Raises:
        InputError: The stage has no network, or a package is not installed.
        WorkError: The network cannot be exported, or onnxruntime computes other logits.
    """
    if trained.network is None:
        raise InputError(
            f"stage {trained.name} has no network, so it cannot be exported; choose another stage"
        )
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch.onnx needs it
    except ImportError as error:
        raise InputError(f"{one_line(error)}: pip install 'wsseg[onnx]'") from None
    network = copy.deepcopy(trained.network).cpu().float().eval()
    with atomic_write(path) as temporary:
        _export(network, _images(trained, EXAMPLE_BATCH), temporary)
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, _metadata(trained))
        onnx.save(model, temporary)
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        worst = 0.0
        for number in CHECKED_BATCHES:
            image = _images(trained, number)
            with torch.no_grad():
                expected = network(image).numpy()
            (found,) = session.run(None, {"image": image.numpy()})
            worst = max(worst, _difference(found, expected))
        if not worst <= TOLERANCE:
            raise WorkError(
                f"stage {trained.name}: the logits of onnxruntime differ by {worst:.2g} from those "
                f"of PyTorch, more than {TOLERANCE:g}; nothing was written"
            )
    return worst


def _export(network: Network, example: torch.Tensor, path: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of torch's exporter, about itself
        try:
            torch.onnx.export(
                network,
                (example,),
                path,
                input_names=["image"],
                output_names=["logits"],
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        except Exception as error:
            raise WorkError(
                f"the network cannot be exported as ONNX ({one_line(error)})"
            ) from error


def _images(trained: TrainedStage, number: int) -> torch.Tensor:
    """Return images with values around the offset of the normalisation, (B, C, S, H, W)."""
    shown, channels = trained.input, len(trained.channels)
    shape = (number, channels, shown.slices, *shown.plane)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(number))
    scale, offset = (
        torch.tensor(np.broadcast_to(value, channels).copy(), dtype=torch.float32)
        for value in (shown.scale, shown.offset)
    )
    return noise * scale[:, None, None, None] + offset[:, None, None, None]


def _difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest difference, relative for logits above 1."""
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())


def _metadata(trained: TrainedStage) -> dict[str, str]:
    shown = trained.input
    return {
        "wsseg": metadata.version("wsseg"),
        "stage": trained.name,
        "classes": ", ".join(trained.stage.classes),
        "labels": trained.stage.labels,
        "channels": ", ".join(trained.channels),
        "unit": shown.unit.name,
        "slices": str(shown.slices),
        "rows": str(shown.plane[0]),
        "columns": str(shown.plane[1]),
    }
