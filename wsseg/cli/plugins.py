"""Commands for plugins: new, plugins list and plugins check."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wsseg.cli.command_help import Commands

app = Commands("List, show and check installed parts.")


class Part(StrEnum):
    """Parts for which `wsseg new` can write a package."""

    PRIOR = "prior"
    ESTEP = "estep"
    BACKBONE = "backbone"
    LOSS = "loss"
    REGION = "region"
    COHORT = "cohort"
    METRIC = "metric"
    RECIPE = "recipe"


def new(
    part: Annotated[Part, typer.Argument(help="Kind of part that the package adds.")],
    name: Annotated[str, typer.Argument(help="Name of the part in recipes, such as two-normals.")],
    out: Annotated[Path, typer.Option(help="Folder in which to create the package.")] = Path(),
) -> None:
    """Create a plugin package with a working part.

    Replace the part with your own; its tests show what it must do.

    Example: wsseg new prior two-normals
    """
    from wsseg.components.registry import registry
    from wsseg.components.scaffold import Package, write_package

    folder = write_package(Package(part.value, name), out, registry())
    typer.echo(f"created {folder}")
    typer.echo(f"next: pip install -e {folder} && pytest {folder}")


@app.command("list")
def list_plugins(
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="List only parts of one kind, such as prior or e-step."),
    ] = None,
) -> None:
    """List the installed parts, and the plugins that failed to load.

    Example: wsseg plugins list --kind prior
    """
    from wsseg.components.registry import registry
    from wsseg.report.part_text import kind_of, kind_words, list_of_parts
    from wsseg.runtime.console import open_console

    found, console = registry(), open_console()
    words = kind_words() if kind is None else {kind: kind_of(kind)}
    for word, listed in words.items():
        offers = [offer for offer in found.offers.values() if offer.kind is listed]
        if kind is None and offers:
            console.print(f"{word}:", highlight=False)
        console.print(list_of_parts(offers, indent=2 if kind is None else 0))
    for failure in found.failures:
        typer.echo(f"not loaded: {failure.distribution}: {failure}", err=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a part, such as tag-odds.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Set a key of the part, for the plot. Repeatable."
        ),
    ] = None,
) -> None:
    """Print what a part does, its keys and how to use it.

    For a prior, it also plots phi as a function of the value of a pixel.

    Example: wsseg plugins show local-contrast --set midpoint=2
    """
    from wsseg.components.registry import registry
    from wsseg.config.settings import Settings
    from wsseg.report.part_text import description, offers_of

    settings = Settings()
    for change in changes or []:
        settings = settings.assigned(change)
    for offer in offers_of(registry(), name):
        typer.echo(description(offer, registry(), settings))


@app.command()
def check(
    distribution: Annotated[
        str | None, typer.Argument(help="Distribution to check (default: all).")
    ] = None,
) -> None:
    """Run the conformance tests of wsseg.testing on installed parts.

    Each part is built from the examples of its fields, Field(examples=[...]), and their defaults.
    The exit code is 1 if a part fails or no part can be built.

    Example: wsseg plugins check wsseg-mine
    """
    from wsseg.components.registry import registry
    from wsseg.errors import WorkError
    from wsseg.testing.conformance import PartResult, check_parts

    results: list[PartResult] = []
    for result in check_parts(registry(), distribution):
        results.append(result)
        typer.echo(f"{result.kind:14}  {result.name:24}  {result.verdict}")
        typer.echo(_error_text(result.error), nl=False)
    failed = sum(result.error is not None for result in results)
    built = sum(not result.not_built for result in results)
    if failed:
        raise WorkError(f"{failed} of {len(results)} parts failed")
    if built == 0:
        raise WorkError(
            f"none of the {len(results)} parts could be built, so nothing was checked; the reasons "
            "are above. A field without a default needs an example: Field(examples=[...])"
        )
    typer.echo(f"{built} of {len(results)} parts were built and passed")


def _error_text(error: BaseException | None) -> str:
    """Return an error indented: the message of an `InputError`, otherwise the traceback."""
    from textwrap import indent
    from traceback import format_exception

    from wsseg.errors import InputError

    if error is None:
        return ""
    text = f"{error}\n" if isinstance(error, InputError) else "".join(format_exception(error))
    return indent(text, "    ")
