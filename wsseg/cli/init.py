"""The command init: a recipe for a user's images."""

from pathlib import Path
from typing import Annotated

import typer

from wsseg.inference.folders import RunFolder

RECIPE = RunFolder(Path()).recipe


def init(
    path: Annotated[
        Path, typer.Argument(help="A folder of images, a cohort.csv, or a CSV file of tags.")
    ],
    out: Annotated[Path, typer.Option(help="The recipe to write.")] = RECIPE,
) -> None:
    """Write a recipe for your images.

    Classes come from the folders of the images (crack/, good/), from a table of tags, or from
    masks. The command compares images with and without a class to choose the prior, and writes a
    commented recipe that is ready for training. It asks no questions.

    Example: wsseg init pictures --out recipe.yaml
    """
    from wsseg.config.new_recipe import new_recipe
    from wsseg.errors import InputError
    from wsseg.runtime.files import write_text

    if out.suffix not in (".yaml", ".yml"):
        raise InputError(f"{out}: the name of a recipe ends in .yaml")
    if out.exists():
        raise InputError(f"{out}: already exists; choose another --out")
    write_text(out, new_recipe(path, out.absolute().parent))
    typer.echo(f"{out}\nnext: wsseg train {out} --out runs/first")
