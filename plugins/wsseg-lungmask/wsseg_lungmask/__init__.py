"""A wsseg region: the lungs as segmented by the U-net of JoHof/lungmask.

Source: Hofmanninger et al. 2020, Eur. Radiol. Exp. 4(50), doi:10.1186/s41747-020-00173-2.
"""

import logging
import warnings
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wsseg import (
    Case,
    InputError,
    PairLimits,
    Region,
    RegionLimits,
    SourceFile,
    Volume,
    WorkError,
    hookimpl,
)
from wsseg.tools import cache_folder, download, read_tensors, sha256

LUNGS = RegionLimits(
    volume_litres=(0.8, 10),
    full_length_mm=200,
    max_area_cm2=550,
    median=(-980, -300),
    pair=PairLimits(one_sided=(0.15, 35), front=(0.06, 17), back_rise_mm=40, end_area=0.85),
    remedy="Look at the mask; if lung is missing, use {use: file, mask: lung} with your own masks",
)
HOST = "https://github.com/JoHof/lungmask/releases/download/v0.0"
FILES = {  # the eight digits at the end of a name are the first of the file's SHA-256
    "R231": "unet_r231-d5d2fc3d.pth",
    "R231CovidWeb": "unet_r231covid-0de78a7e.pth",
    "LTRCLobes": "unet_ltrclobes-3a07043d.pth",
}
SIDE_PX = 256  # size of the network's input
LOWEST_HU, HIGHEST_HU = -1024, 600  # mapped to 0 and 1
BATCH_SLICES = 8
loading = Lock()  # several threads prepare scans
log = logging.getLogger("wsseg")


@final
class LungMask(Region):
    """Both lungs with the lesions in them, segmented slice by slice by lungmask's U-net.

    The weights are downloaded once into the cache folder, unless `weights` names a file. A .pth
    file is loaded with `weights_only`, which accepts tensors only and runs no code.

    Source: Hofmanninger et al. 2020, "Automatic lung segmentation in routine imaging is primarily
    a data diversity problem, not a methodology problem".
    """

    plausible: ClassVar = LUNGS

    model: Literal["R231", "R231CovidWeb", "LTRCLobes"] = "R231"
    """Name of the published model."""
    weights: Path | None = None
    """File with the weights, .safetensors or .pth; null downloads those of `model`."""

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return the mask of the lungs, (Z, H, W), of a volume in HU.

        Raises:
            InputError: The weights cannot be downloaded or read.
        """
        with loading:
            network = _network(self.weights or _downloaded(FILES[self.model]))
        return _segmented(network, volume.channel())

    def files(self, case: Case) -> tuple[Path, ...]:  # noqa: ARG002 - the same for all
        """Return the file with the weights, if one is named."""
        return () if self.weights is None else (self.weights,)


@hookimpl
def wsseg_regions() -> dict[str, type[Region]]:
    """Register the region."""
    return {"lungmask": LungMask}


def _lungmask(module: str) -> ModuleType:
    """Import a module of lungmask; undo its warning filter and silence its log."""
    with warnings.catch_warnings():
        found = import_module(f"lungmask.{module}")
    logging.getLogger("lungmask").setLevel(logging.WARNING)
    return found


def _segmented(network: nn.Module, voxels: NDArray[Any]) -> NDArray[np.bool_]:
    """Segment an array (Z, H, W) as lungmask's `LMInferer.apply` does."""
    utils = _lungmask("utils")
    small, boxes = utils.preprocess(voxels, resolution=[SIDE_PX, SIDE_PX])
    unit = (np.minimum(small, HIGHEST_HU) - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU)
    device = next(network.parameters()).device
    with torch.inference_mode():
        labels = np.concatenate(
            [
                network(torch.from_numpy(batch).float()[:, None].to(device)).argmax(1).cpu().numpy()
                for batch in np.split(unit, range(BATCH_SLICES, len(unit), BATCH_SLICES))
            ]
        )
    lungs = utils.postprocessing(labels.astype(np.uint8), disable_tqdm=True)
    shape = voxels.shape[1:]
    planes = [utils.reshape_mask(p, box, shape) for p, box in zip(lungs, boxes, strict=True)]
    return np.stack(planes) > 0


@lru_cache(maxsize=1)
def _network(path: Path) -> nn.Module:
    """Build lungmask's U-net and load its weights from a file."""
    state = read_tensors(path)
    if "last.weight" not in state:
        raise InputError(f"{path}: the file does not contain weights of lungmask's U-net")
    build = _lungmask("resunet").UNet
    options = {"padding": True, "depth": 5, "up_mode": "upsample", "batch_norm": True}
    network: nn.Module = build(n_classes=len(state["last.weight"]), residual=False, **options)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path}: the weights are not those of lungmask's U-net") from error
    return network.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _downloaded(name: str) -> Path:
    """Return published weights from the cache folder; download them first if necessary."""
    folder = cache_folder() / "lungmask"
    if not (folder / name).is_file():
        log.info("downloading the weights of lungmask")
    try:
        path = download(SourceFile(name, f"{HOST}/{name}"), folder)
    except WorkError as error:
        raise InputError(
            f"{error}.\n"
            "Or copy the file to this machine and give its path: {use: lungmask, weights: FILE}"
        ) from error
    if not sha256(path).startswith(Path(name).stem.rpartition("-")[2]):
        path.unlink()
        raise InputError(
            f"{path}: the file was damaged during the download and has been deleted. Try again"
        )
    return path
