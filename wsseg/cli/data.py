"""wsseg data phantom, prepare."""

from typing import Annotated

import typer

from wsseg.cli.runs import Changes

app = typer.Typer(help="Make and prepare data.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def prepare(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or file.")],
    changes: Changes = None,
) -> None:
    """Bring all scans of a recipe to its network's grid now, so that training need not.

    Example: wsseg data prepare covid/demo-phi2
    """
    from wsseg.display import Display
    from wsseg.recipe import load_recipe
    from wsseg.training import prepare_all, split_of

    loaded = load_recipe(recipe, changes or [])
    split = split_of(loaded)
    prepared = prepare_all([*split.train, *split.test], loaded, Display())
    typer.echo(f"{len(prepared)} scans prepared")
