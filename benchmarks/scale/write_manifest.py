"""Writes the manifest of a run that has learnt from all training cases of a recipe.

Arguments: the recipe's file, and the folder of the run.
"""

import sys
from pathlib import Path

from wsseg.config.recipe_files import load_recipe
from wsseg.inference.folders import RunFolder
from wsseg.runtime.files import write_json
from wsseg.training.manifest import manifest
from wsseg.training.run import split_of


def main(recipe_file: str, folder: str) -> None:
    """Write the manifest."""
    recipe = load_recipe(recipe_file)
    split = split_of(recipe)
    learnt_from = {name: [case.name for case in split.train] for name in recipe.stages}
    write_json(RunFolder(Path(folder)).manifest, manifest(recipe, split, learnt_from, ()))


if __name__ == "__main__":
    main(*sys.argv[1:])
