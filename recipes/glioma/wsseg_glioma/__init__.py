"""Glioma on FLAIR from slice-level tags: a second task, of parts that were there."""

from pathlib import Path

from wsseg import Cohort, hookimpl
from wsseg_glioma.lgg import LggFlair

RECIPES = Path(__file__).parent / "recipes"


@hookimpl
def wsseg_cohorts() -> dict[str, type[Cohort]]:
    """Offer the public scans."""
    return {"lgg-flair": LggFlair}


@hookimpl
def wsseg_recipes() -> dict[str, Path]:
    """Offer every recipe of the folder beside this file, as glioma/NAME."""
    return {f"glioma/{path.stem}": path for path in sorted(RECIPES.glob("*.yaml"))}
