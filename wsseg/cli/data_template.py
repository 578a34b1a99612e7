"""wsseg data template."""

from pathlib import Path
from typing import Annotated

import typer


def template(
    out: Annotated[Path, typer.Option(help="The folder for cohort.csv and slices.csv.")],
) -> None:
    """Write tables to describe your own scans in.

    Example: wsseg data template --out mine
    """
    from wsseg.data.template import write_template

    for path in write_template(out):
        typer.echo(path)
    typer.echo(f"in a recipe: cohort: {{use: table, path: {out / 'cohort.csv'}}}")
