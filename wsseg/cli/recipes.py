"""Commands for recipes: recipe list, show, check and schema."""

from typing import Annotated

import typer

from wsseg.cli.command_help import Commands
from wsseg.cli.options import Changes

app = Commands("List, show, compare and check recipes.")
Source = Annotated[str, typer.Argument(help="A recipe file, or the name of a recipe.")]


@app.command("list")
def list_recipes() -> None:
    """List the installed recipes.

    Example: wsseg recipe list
    """
    from pathlib import Path

    from rich.table import Table
    from rich.text import Text

    from wsseg.components.registry import registry
    from wsseg.runtime.console import open_console

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    offers = [offer for offer in registry().offers.values() if offer.kind is Path]
    for offer in sorted(offers, key=lambda offer: offer.name):
        table.add_row(Text(offer.name), Text(offer.summary))
    open_console().print(table)


@app.command()
def show(source: Source, changes: Changes = None) -> None:
    """Print a recipe with all its values and where each comes from.

    Example: wsseg recipe show my-recipe.yaml
    """
    from wsseg.config.recipe_files import annotated_text, check_recipe, recipe_settings

    settings = recipe_settings(source, changes or [])
    typer.echo(annotated_text(check_recipe(settings), settings), nl=False)


@app.command()
def diff(
    first: Source,
    second: Source,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the second. Repeatable."),
    ] = None,
) -> None:
    """Print the values in which two recipes differ.

    Each value is followed by the file and the line that it comes from. Defaults count as values.
    The recipe of a run is RUN/recipe.yaml.

    Example: wsseg recipe diff first.yaml runs/second/recipe.yaml
    """
    from wsseg.config.recipe_files import differences, recipe_settings

    texts = list(differences(recipe_settings(first), recipe_settings(second, changes or [])))
    typer.echo("\n".join(texts) or "the recipes have the same values")


@app.command()
def check(source: Source, changes: Changes = None) -> None:
    """Check a recipe without reading any data.

    Prints the absolute path of each file and folder that the recipe names.

    Example: wsseg recipe check my-recipe.yaml
    """
    from wsseg.config.paths import paths_in
    from wsseg.config.recipe_files import check_can_be_saved, load_recipe

    recipe = load_recipe(source, changes or [])
    check_can_be_saved(recipe)
    typer.echo(f"{source}: valid; stages: {', '.join(recipe.stages)}")
    for key, path in paths_in(recipe):
        missing = "" if path.exists() else " (does not exist)"
        typer.echo(f"{'.'.join(map(str, key))}: {path}{missing}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for use in an editor.

    An editor with a YAML language server completes and checks a recipe that begins with the line

    # yaml-language-server: $schema=recipe.schema.json

    Example: wsseg recipe schema > recipe.schema.json
    """
    import json

    from wsseg.components.registry import registry
    from wsseg.config.json_schema import recipe_schema

    typer.echo(json.dumps(recipe_schema(registry()), indent=2, ensure_ascii=False))
