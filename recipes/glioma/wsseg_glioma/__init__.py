"""Glioma on FLAIR images from slice tags."""

from pathlib import Path

from wsseg import Cohort, hookimpl
from wsseg_glioma.lgg import LggFlair

RECIPES = Path(__file__).parent / "recipes"


@hookimpl
def wsseg_cohorts() -> dict[str, type[Cohort]]:
    """Register the public data set."""
    return {"lgg-flair": LggFlair}


@hookimpl
def wsseg_recipes() -> dict[str, Path]:
    """Register the recipes in the folder `recipes` as glioma/NAME."""
    return {f"glioma/{path.stem}": path for path in sorted(RECIPES.glob("*.yaml"))}
