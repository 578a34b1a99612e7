"""wsseg data phantom, prepare, and what has a file of its own beside this."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsseg.cli.data_cache import cache
from wsseg.cli.data_check import check
from wsseg.cli.data_fetch import fetch
from wsseg.cli.data_reports import tags_from_reports
from wsseg.cli.data_template import template
from wsseg.cli.runs import Changes

if TYPE_CHECKING:
    from wsseg.core.interfaces import Synthetic

app = typer.Typer(help="Make and prepare data.", no_args_is_help=True, rich_markup_mode=None)
app.command()(template)
app.command()(check)
app.command()(fetch)
app.command()(tags_from_reports)
app.command()(cache)


@app.command()
def prepare(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or file.")],
    changes: Changes = None,
) -> None:
    """Bring scans to the network's grid ahead of training.

    Example: wsseg data prepare covid/demo-phi2
    """
    from wsseg.config.recipe import load_recipe
    from wsseg.runtime.console import Display
    from wsseg.training.run import prepare_all, split_of

    loaded = load_recipe(recipe, changes or [])
    split = split_of(loaded)
    display, number = Display(), len(split.test)
    prepare_all(split.test, loaded, loaded.stages.values(), display)
    for stages in loaded.by_cohort:
        cases = split.learnt_from(next(iter(stages)))
        number += len(prepare_all(cases, loaded, stages.values(), display))
    typer.echo(f"{number} scans prepared")


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="The new folder for scans and cohort.csv.")],
    cases: Annotated[int, typer.Option(min=1, help="How many scans.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Another one gives other scans.")] = 0,
    use: Annotated[
        str | None, typer.Option(help="Which cohort, where several can be made.")
    ] = None,
) -> None:
    """Write made-up scans whose masks are known.

    Example: wsseg data phantom --out phantoms --cases 8
    """
    from wsseg.runtime.console import Display

    display, made = Display(), _synthetic(use, cases, seed)
    with display.bar("drawing scans", cases) as advance:
        made.write(out, lambda name: advance(1, name))
    table = out / "cohort.csv"
    display.note(f"{cases} scans: {out}\nin a recipe: cohort: {{use: table, path: {table}}}")


def _synthetic(use: str | None, cases: int, seed: int) -> "Synthetic":
    """Make the installed cohort that can be written; `use` names one of several."""
    from wsseg.components.registry import registry
    from wsseg.core.interfaces import Cohort, Synthetic
    from wsseg.errors import InputError, known_words

    names = [
        n for n in registry().names(Cohort) if issubclass(registry().find(Cohort, n), Synthetic)
    ]
    if not names:
        raise InputError("no installed plugin can make scans up; `wsseg plugins list` shows them")
    if use not in names and (use is not None or len(names) > 1):
        raise InputError(f"--use {use}: name a cohort to make; {known_words(str(use), names)}")
    made = registry().make(Cohort, use or names[0], cases=cases, seed=seed)
    assert isinstance(made, Synthetic), "chosen so above"  # noqa: S101
    return made
