"""wsseg plugins list."""

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
    from wsseg.plugins import registry

    found = registry()
    rows = [
        (offer.name, "Recipe" if offer.kind.__name__ == "Path" else offer.kind.__name__,
         offer.distribution, offer.summary)
        for offer in found.offers.values()
    ]  # fmt: skip
    rows.sort(key=lambda row: (row[1], row[0]))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for *cells, summary in rows:
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
        typer.echo(f"{line}  {summary}")
    for failure in found.failures:
        typer.echo(f"not loaded: {failure.distribution}: {failure}", err=True)
