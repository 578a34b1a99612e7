"""Draw docs/gallery-*.png: what the priors of the recipes find in synthetic images.

Run: .venv/bin/python -m docs.gallery
"""

from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from wsseg import Batch, Cohort, load_recipe, make
from wsseg.tools import read_case, read_case_mask

DOCS = Path(__file__).parent
SIDE = 128  # pixels
HALF_WIDTH = 2  # pixels of the crack
MOST_COLUMNS = 3


class Example(NamedTuple):
    """A slice with a lesion, and the recipes whose priors are shown on it."""

    image: NDArray[np.float32]
    region: NDArray[np.bool_]
    true: NDArray[np.bool_]
    window: tuple[float, float]
    recipes: tuple[str, ...]


def chest_ct() -> Example:
    """Return a slice of the phantom, in HU; the region is the infection."""
    case = make(Cohort, "lung-phantom", cases=4, size=SIDE, slices=12).cases()[0]
    scan = read_case(case)
    infection, true = (
        read_case_mask(case, name, scan.grid) for name in ("infection", "consolidation")
    )
    z = int(true.sum(axis=(1, 2)).argmax())
    names = ("threshold", "threshold-smoothed", "phi1", "phi2", "em")
    recipes = tuple(f"covid/{name}" for name in names)
    return Example(scan.voxels[0, z], infection[z], true[z], (-1100, 200), recipes)


def flair() -> Example:
    """Return a drawn slice of a head with a bright tumour, in standard deviations."""
    y, x = np.ogrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    brain = np.hypot(x / 0.65, y / 0.85) < 1
    true = np.hypot((x - 0.25) / 0.22, (y + 0.2) / 0.16) < 1
    texture = ndimage.gaussian_filter(noise(), 2.5)
    image = np.where(brain, 0.8 * texture / texture.std() + 2.4 * smooth(true), -2)
    return Example(
        image.astype(np.float32), brain, true, (-2, 4), ("glioma/threshold", "glioma/em")
    )


def surface() -> Example:
    """Return a drawn picture of a surface with a dark crack, in standard deviations."""
    rows = np.arange(SIDE)
    middle = 60 + 18 * np.sin(rows / 25) + 4 * np.sin(rows / 6)
    true = np.abs(rows[None, :] - middle[:, None]) < HALF_WIDTH
    true[:25] = true[105:] = False
    shade = np.linspace(-0.8, 0.8, SIDE)[None, :]
    image = shade + 0.9 * ndimage.gaussian_filter(noise(), 0.8) - 2.2 * smooth(true)
    names = ("threshold", "top-hat", "em")
    recipes = tuple(f"surface-defects/{name}" for name in names)
    everywhere = np.ones_like(true)
    return Example(image.astype(np.float32), everywhere, true, (-4, 3), recipes)


def noise() -> NDArray[np.float64]:
    """Return an image of independent standard normal values."""
    return np.random.default_rng(0).normal(size=(SIDE, SIDE))


def smooth(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a mask with soft edges."""
    soft: NDArray[np.float64] = ndimage.gaussian_filter(mask.astype(float), 1)
    return soft


def prior_of(recipe: str, example: Example) -> Tensor:
    """Return φ of the last stage of a recipe, (H, W)."""
    stage = list(load_recipe(recipe).stages.values())[-1]
    image = torch.from_numpy(np.ascontiguousarray(example.image))[None, None, None]
    region = torch.from_numpy(np.ascontiguousarray(example.region))[None, None]
    batch = Batch(image=image, region=region, tags=torch.tensor([[True]]))
    phi: Tensor = stage.prior(batch)[0, 0]  # type: ignore[union-attr]
    return phi.where(region[0, 0], 0)


def draw(example: Example) -> Figure:
    """Draw an example next to φ of each recipe, with the outline of the true lesion."""
    panels = 1 + len(example.recipes)
    rows = ceil(panels / MOST_COLUMNS)
    columns = ceil(panels / rows)
    figure = Figure(figsize=(2.2 * columns + 0.6, 2.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    low, high = example.window
    axes[0].imshow(example.image, cmap="gray", vmin=low, vmax=high)
    axes[0].contour(example.true, levels=[0.5], colors="tab:orange", linewidths=1.2)
    axes[0].set_title("image and true lesion", fontsize=10)
    for axis, recipe in zip(axes[1:], example.recipes, strict=False):
        phi = prior_of(recipe, example)
        shown = axis.imshow(phi, cmap="viridis", vmin=0, vmax=1)
        axis.contour(example.true, levels=[0.5], colors="tab:orange", linewidths=1.2)
        axis.set_title(recipe, fontsize=10)
    for axis in axes:
        axis.set_axis_off()
    figure.colorbar(shown, ax=list(axes), label="φ", shrink=0.8)
    return figure


EXAMPLES = {"chest-ct": chest_ct, "flair": flair, "surface": surface}


def main() -> None:
    """Draw all pictures."""
    for name, example in EXAMPLES.items():
        draw(example()).savefig(DOCS / f"gallery-{name}.png", dpi=110)


if __name__ == "__main__":
    main()
