"""wsseg new."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Part(StrEnum):
    """What there is a package to start from of."""

    PRIOR = "prior"
    ESTEP = "estep"
    BACKBONE = "backbone"
    METRIC = "metric"
    RECIPE = "recipe"


def new(
    part: Annotated[Part, typer.Argument(help="What it adds.")],
    name: Annotated[str, typer.Argument(help="How recipes name it, such as two-normals.")],
    out: Annotated[Path, typer.Option(help="The folder that the package's is made in.")] = Path(),
) -> None:
    """Write a package with a working part of your own.

    Example: wsseg new prior two-normals
    """
    from wsseg.components.registry import registry
    from wsseg.components.scaffold import Package, write_package

    folder = write_package(Package(part.value, name), out, registry())
    typer.echo(f"{folder}: a package that works; make it yours")
    typer.echo(f"next: pip install -e {folder} && pytest {folder}")
