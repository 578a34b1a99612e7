"""A stage begins with the weights of the stage that `start` names."""

from pathlib import Path

from rich.console import Console
from safetensors.torch import load_file

import wsseg
from wsseg.config.recipe_files import load_recipe
from wsseg.runtime.console import Display

STANDING_STILL = (
    "stages.infection.epochs=1",
    "stages.consolidation.epochs=1",
    "stages.consolidation.optimizer.lr=1.0e-12",
)
WITHOUT_START = (
    "stages.consolidation.start=null",
    "stages.consolidation.backbone={use: additive-unet, width: 4}",
)


def largest_change(recipe: Path, out: Path, *changes: str) -> float:
    """Train both stages; return the largest difference between their convolutions' weights."""
    wsseg.train(
        load_recipe(recipe, [*STANDING_STILL, *changes]), out, display=Display(Console(quiet=True))
    )
    first, second = (
        load_file(out / "stages" / stage / "weights.safetensors")
        for stage in ("infection", "consolidation")
    )
    kernels = [name for name, weight in first.items() if weight.ndim == 4]
    assert len(kernels) > 10
    return max(float((first[name] - second[name]).abs().max()) for name in kernels)


def test_a_stage_that_learns_next_to_nothing_ends_with_the_weights_that_it_starts_from(
    toy_recipe: Path, tmp_path: Path
) -> None:
    assert largest_change(toy_recipe, tmp_path / "run") < 1e-9


def test_without_start_its_weights_are_new(toy_recipe: Path, tmp_path: Path) -> None:
    assert largest_change(toy_recipe, tmp_path / "run", *WITHOUT_START) > 0.1
