"""The page of a case as one HTML file that shows its layers with NiiVue, without a network."""

import base64
import gzip
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from wsseg.report.templates import template
from wsseg.report.view_layers import PALE, Layer, View
from wsseg.runtime.files import write_text

LEVELS = 255  # of 8-bit numbers
TAILS = (0.1, 99.9)  # percentiles of the image beyond which values are cut off
GZIP_LEVEL = 6
RGB8 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])  # colours in NIfTI
TINT, HALF = 0.45, 0.6  # opacities of masks and of probabilities
WORDS = {"image": "Image", "predicted": "Predicted", "annotated": "Annotated"}
WORDS |= {"probability": "Probability of", "region": "Region"}


def write_view(path: Path, view: View, title: str) -> None:
    """Write the page of a case, atomically."""
    write_text(path, html(view, title))


def html(view: View, title: str) -> str:
    """Return the page of a case, whose content security policy forbids every request."""
    package = resources.files("wsseg.report")
    niivue = (package / "niivue" / "niivue.umd.js").read_text(encoding="utf-8")
    script = (package / "view.js").read_text(encoding="utf-8")
    return template("view.html.j2").render(
        view=view,
        title=title,
        layers=[_described(layer, view) for layer in view.layers],
        page={"slice": view.key_slice, "picture": view.is_picture},
        resolution=resolution_note(view),
        scripts=[niivue, script],
        hashes=[_sha256(niivue), _sha256(script)],
        licences=(package / "niivue" / "LICENSE.txt").read_text(encoding="utf-8"),
    )


def resolution_note(view: View) -> str:
    """Return how the page differs from the scan; "" if it does not."""
    z, row, column = view.block
    parts = ["The scan is cropped to its regions."] if view.is_cropped else []
    if view.block != (1, 1, 1):
        parts.append(
            f"Blocks of {column} × {row} × {z} voxels are merged; a block has a class if any of "
            "its voxels has it."
        )
    return " ".join(parts)


def nifti(layer: Layer, view: View) -> bytes:
    """Return a layer as a compressed NIfTI file of 8-bit numbers with a scale.

    Its axes are those of (Z, H, W), so that the page shows the slices of the scan, however these
    are inclined.
    """
    z, row, column = view.spacing
    values, slope, low = _levels(layer, view.window)
    image = nib.Nifti1Image(values.swapaxes(0, 2), np.diag([-column, -row, z, 1]))
    header: Any = image.header
    header.set_slope_inter(slope, low)
    header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), GZIP_LEVEL, mtime=0)


def _levels(layer: Layer, window: tuple[float, float]) -> tuple[NDArray[Any], float, float]:
    """Return values in 8-bit numbers, and the step and the start of their scale."""
    voxels = layer.voxels
    if layer.kind == "probability":
        return np.rint(voxels.clip(0, 1) * LEVELS).astype(np.uint8), 1 / LEVELS, 0.0
    if layer.kind != "image":
        return voxels.astype(np.uint8), 1.0, 0.0
    low, high = window
    if voxels.ndim == 3:  # noqa: PLR2004 - not in colours
        tails = np.percentile(voxels, TAILS)
        low, high = min(low, float(tails[0])), max(high, float(tails[1]))
    step = max(high - low, 1e-6) / LEVELS
    levels = np.rint((voxels.astype(np.float32) - low) / step).clip(0, LEVELS).astype(np.uint8)
    if voxels.ndim == 3:  # noqa: PLR2004
        return levels, step, low
    return np.ascontiguousarray(levels).view(RGB8)[..., 0], 1.0, 0.0


def _described(layer: Layer, view: View) -> dict[str, Any]:
    """Return what the page's script needs to know of a layer."""
    return {
        "kind": layer.kind,
        "label": f"{WORDS[layer.kind]} {layer.name}".strip(),
        "nifti": base64.b64encode(nifti(layer, view)).decode(),
        "colour": layer.colour or PALE,
        "shown": layer.is_shown,
        "opacity": {"image": 1.0, "probability": HALF}.get(layer.kind, TINT),
        "window": view.window,
    }


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
