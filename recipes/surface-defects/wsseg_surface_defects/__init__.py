"""Surface defects from tags of images."""

from pathlib import Path

from wsseg import hookimpl

RECIPES = Path(__file__).parent / "recipes"


@hookimpl
def wsseg_recipes() -> dict[str, Path]:
    """Register the recipes in the folder `recipes` as surface-defects/NAME."""
    return {f"surface-defects/{path.stem}": path for path in sorted(RECIPES.glob("*.yaml"))}
