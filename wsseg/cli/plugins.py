"""wsseg plugins list, check."""

from typing import Annotated

import typer

app = typer.Typer(help="Look at plugins.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def plugins() -> None:
    """Look at plugins."""


@app.command("list")
def list_plugins() -> None:
    """List every installed part, and the plugins that could not be used.

    Example: wsseg plugins list
    """
    from wsseg.components.registry import kind_name, registry

    found = registry()
    rows = [
        (offer.name, kind_name(offer.kind), offer.distribution, offer.summary)
        for offer in found.offers.values()
    ]
    rows.sort(key=lambda row: (row[1], row[0]))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for *cells, summary in rows:
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
        typer.echo(f"{line}  {summary}")
    for failure in found.failures:
        typer.echo(f"not loaded: {failure.distribution}: {failure}", err=True)


@app.command()
def check(
    distribution: Annotated[
        str | None, typer.Argument(help="Whose parts; without, all that are installed.")
    ] = None,
) -> None:
    """Run the conformance kit (wsseg.testing) on installed parts.

    A part is built from its fields' examples, Field(examples=[...]), and their defaults.

    Example: wsseg plugins check wsseg-covid
    """
    from wsseg.components.registry import registry
    from wsseg.errors import WorkError
    from wsseg.testing.conformance import PartResult, findings

    found: list[PartResult] = []
    for each in findings(registry(), distribution):
        found.append(each)
        typer.echo(f"{each.kind:9}  {each.name:24}  {each.verdict}")
        typer.echo(_why(each.error), nl=False)
    failed = sum(each.error is not None for each in found)
    built = sum(not each.lacks for each in found)
    if failed:
        raise WorkError(f"{failed} of {len(found)} parts failed")
    typer.echo(f"{built} of {len(found)} parts were built and keep their contracts")


def _why(error: BaseException | None) -> str:
    """Return the failure with its traceback, indented; of a wrong recipe, what is wrong."""
    from textwrap import indent
    from traceback import format_exception

    from wsseg.errors import InputError

    if error is None:
        return ""
    text = f"{error}\n" if isinstance(error, InputError) else "".join(format_exception(error))
    return indent(text, "    ")
