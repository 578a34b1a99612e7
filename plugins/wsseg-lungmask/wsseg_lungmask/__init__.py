"""A wsseg region: the lungs by JoHof/lungmask, whose U-net has seen severe disease.

J. Hofmanninger et al. 2020, Eur. Radiol. Exp. 4(50), doi:10.1186/s41747-020-00173-2.
"""

import logging
import warnings
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from wsseg import Case, InputError, Region, RegionLimits, SourceFile, Volume, WorkError, hookimpl
from wsseg.tools import cache_folder, download, sha256

LUNGS = RegionLimits(litres=(0.8, 10), whole_mm=250, largest_cm2=550, median=(-950, -300))
HOST = "https://github.com/JoHof/lungmask/releases/download/v0.0"
FILES = {  # the end of a name is the beginning of its SHA-256
    "R231": "unet_r231-d5d2fc3d.pth",
    "R231CovidWeb": "unet_r231covid-0de78a7e.pth",
    "LTRCLobes": "unet_ltrclobes-3a07043d.pth",
}
SIDE_PX = 256  # of the network's slices
LOWEST_HU, HIGHEST_HU = -1024, 600  # become 0 and 1
BATCH = 8  # slices at a time
loading = Lock()  # scans are prepared by several threads
log = logging.getLogger("wsseg")


@final
class LungMask(Region):
    """Both lungs with what is dense in them, by lungmask's U-net, slice by slice.

    `weights` names a file with the network's weights, .safetensors or .pth; without it, `model`'s
    own are downloaded once into the cache folder. A .pth is read as tensors and nothing else
    (torch's `weights_only`): whatever else it holds is refused, not run.
    """

    plausible: ClassVar = LUNGS

    model: Literal["R231", "R231CovidWeb", "LTRCLobes"] = "R231"
    weights: Path | None = None

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Find the lungs, (Z, H, W); the scan is in HU."""
        with loading:
            network = _network(self.weights or _downloaded(FILES[self.model]))
        return _segmented(network, volume.voxels)

    def files(self, case: Case) -> tuple[Path, ...]:  # noqa: ARG002 - the same for all
        """Name the file of the weights."""
        return () if self.weights is None else (self.weights,)


@hookimpl
def wsseg_regions() -> dict[str, type[Region]]:
    """Offer the lungs."""
    return {"lungmask": LungMask}


def _lungmask(module: str) -> ModuleType:
    """Import a part of lungmask, which would switch off every user warning and talk."""
    with warnings.catch_warnings():
        found = import_module(f"lungmask.{module}")
    logging.getLogger("lungmask").setLevel(logging.WARNING)
    return found


def _segmented(network: nn.Module, voxels: NDArray[Any]) -> NDArray[np.bool_]:
    """Do what lungmask's `LMInferer.apply` does with an array that lies as ours do."""
    utils = _lungmask("utils")
    small, boxes = utils.preprocess(voxels, resolution=[SIDE_PX, SIDE_PX])
    unit = (np.minimum(small, HIGHEST_HU) - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU)
    device = next(network.parameters()).device
    with torch.inference_mode():
        labels = np.concatenate(
            [
                network(torch.from_numpy(batch).float()[:, None].to(device)).argmax(1).cpu().numpy()
                for batch in np.split(unit, range(BATCH, len(unit), BATCH))
            ]
        )
    whole = utils.postprocessing(labels.astype(np.uint8), disable_tqdm=True)
    shape = voxels.shape[1:]
    planes = [utils.reshape_mask(p, box, shape) for p, box in zip(whole, boxes, strict=True)]
    return np.stack(planes) > 0


@lru_cache(maxsize=1)
def _network(path: Path) -> nn.Module:
    """Build lungmask's U-net with the weights of a file."""
    state = _state(path)
    if "last.weight" not in state:
        raise InputError(f"{path}: holds no weights of lungmask's U-net")
    build = _lungmask("resunet").UNet
    options = {"padding": True, "depth": 5, "up_mode": "upsample", "batch_norm": True}
    network: nn.Module = build(n_classes=len(state["last.weight"]), residual=False, **options)
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise InputError(f"{path}: holds weights of another network than lungmask's") from error
    return network.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _state(path: Path) -> Mapping[str, Tensor]:
    """Read named tensors. Nothing is unpickled but what `weights_only` lets through: tensors."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file of weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # strangers' bytes may raise anything
        kind = type(error).__name__
        raise InputError(f"{path}: is damaged, or holds more than tensors ({kind})") from error
    if not (isinstance(state, Mapping) and _are_tensors(state.values())):
        raise InputError(f"{path}: holds no named tensors")
    return state


def _are_tensors(values: Iterable[object]) -> bool:
    return all(isinstance(value, Tensor) for value in values)


def _downloaded(name: str) -> Path:
    """Return lungmask's own weights from the cache folder; the first time, download them."""
    folder = cache_folder() / "lungmask"
    if not (folder / name).is_file():
        log.info("downloading the weights of lungmask, once")
    try:
        path = download(SourceFile(name, f"{HOST}/{name}"), folder, "", _no_bar)
    except WorkError as error:
        raise InputError(
            f"{error}.\nOr bring the file yourself and name it: {{use: lungmask, weights: FILE}}"
        ) from error
    if not sha256(path).startswith(Path(name).stem.rpartition("-")[2]):
        path.unlink()
        raise InputError(f"{path}: was damaged on the way, and is deleted. Try again")
    return path


def _no_bar(text: str, number: int, done: int) -> AbstractContextManager[Any]:  # noqa: ARG001
    """Show nothing: a bar of scans is on the screen already."""
    return nullcontext(lambda *_: None)
