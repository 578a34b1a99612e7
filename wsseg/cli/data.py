"""Commands that create, describe and prepare data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsseg.cli.command_help import Commands
from wsseg.cli.data_check import check
from wsseg.cli.options import Changes, Columns

if TYPE_CHECKING:
    from wsseg.core.interfaces import PublicDataset, Synthetic

app = Commands("Create, check and prepare data.")


@app.command()
def template(
    out: Annotated[Path, typer.Option(help="Folder for cohort.csv and slices.csv.")],
) -> None:
    """Write template tables that describe your own scans.

    Example: wsseg data template --out mine
    """
    from wsseg.data.template import write_template

    for path in write_template(out):
        typer.echo(path)
    typer.echo(f"in a recipe: cohort: {{use: table, path: {out.absolute() / 'cohort.csv'}}}")


app.command()(check)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a public data set, such as medseg-9.")],
    out: Annotated[Path, typer.Option(help="Folder for the data set.")],
    at_hand: Annotated[
        Path | None,
        typer.Option("--from", help="Folder with files that are already downloaded."),
    ] = None,
) -> None:
    """Download a public data set.

    Run the same command again to continue an interrupted download.

    Example: wsseg data fetch medseg-9 --out data/medseg-9
    """
    from wsseg.components.registry import registry
    from wsseg.core.interfaces import Cohort
    from wsseg.data.download import RECORD, fetch
    from wsseg.report.formatting import counted
    from wsseg.runtime.console import Display

    display, source = Display(), _public_dataset(name).source
    display.note(f"licence: {source.licence}\ncite: {source.citation}\nsource: {source.page}")
    fetch(source, out, at_hand, display.bar)
    cases = registry().make(Cohort, name, root=out).cases()
    display.note(
        f"{counted(len(cases), 'case')}: {out}, checksums in {RECORD}\n"
        f"in a recipe: cohort: {{use: {name}, root: {out.absolute()}}}"
    )


def _public_dataset(name: str) -> "type[PublicDataset]":
    from wsseg.components.registry import registry
    from wsseg.core.interfaces import Cohort, PublicDataset
    from wsseg.errors import InputError, known_words

    cohorts = {n: registry().find(Cohort, n) for n in registry().names(Cohort)}
    datasets: dict[str, type[PublicDataset]] = {
        n: cohort for n, cohort in cohorts.items() if issubclass(cohort, PublicDataset)
    }
    if name not in datasets:
        raise InputError(f"no public data set is called {name!r}; {known_words(name, datasets)}")
    return datasets[name]


@app.command()
def join(
    cohort: Annotated[Path, typer.Argument(help="The cohort.csv.")],
    tags: Annotated[
        Path, typer.Argument(help="CSV file with the columns case (or patient) and tag.CLASS.")
    ],
    out: Annotated[Path, typer.Option(help="CSV file to write, next to the cohort.csv.")],
    columns: Columns = None,
) -> None:
    """Add the tags of a table to a cohort's table.

    Rows are matched by case or patient. A tag that only the cohort has is kept; two different tags
    are an error.

    Example: wsseg data join cohort.csv tags.csv --out tagged.csv
    """
    from wsseg.data.csv_table import parse_columns
    from wsseg.data.join_tags import join_tags
    from wsseg.errors import InputError

    joined = join_tags(cohort, tags, parse_columns(columns or []))
    if out.exists():
        raise InputError(f"{out}: already exists; choose another --out")
    if out.absolute().parent.resolve() != cohort.absolute().parent.resolve():
        raise InputError(
            f"{out}: must be in the folder of {cohort}, to which the paths in the table are "
            "relative; choose an --out there"
        )
    joined.write(out)
    typer.echo(
        f"{out}: {joined.tagged_cases} of {len(joined.rows)} cases have tags, matched by "
        f"{joined.key}; rows of tags without a case: {joined.unused_rows}"
    )


@app.command()
def cache(
    keep_gb: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="GB", help="Delete the least recently used entries above this size."
        ),
    ] = None,
) -> None:
    """Show or shrink the cache of prepared data.

    The cache is kept below $WSSEG_CACHE_GB (default: 50) automatically. Entries that a running
    process uses are never deleted.

    Example: wsseg data cache --keep-gb 20
    """
    from wsseg.runtime.cache import GB, LIMIT, entries, limit_bytes, prune, sweep
    from wsseg.runtime.files import cache_folder

    found, deleted = entries(), []
    if keep_gb is not None:
        sweep()
        deleted = prune(found, keep_gb * GB)
    for kind in sorted({entry.kind for entry in found}):
        sizes = [entry.bytes for entry in found if entry.kind == kind and entry not in deleted]
        typer.echo(f"{kind:12}  {len(sizes):6}  {sum(sizes) / GB:8.2f} GB")
    typer.echo(f"in {cache_folder()}, at most {limit_bytes() / GB:g} GB ({LIMIT})")
    deleted_bytes = sum(entry.bytes for entry in deleted)
    if deleted:
        typer.echo(
            f"deleted {len(deleted)} entries, {deleted_bytes / GB:.2f} GB; "
            "they are prepared again when needed"
        )
    remaining = sum(entry.bytes for entry in found) - deleted_bytes
    if keep_gb is not None and remaining > keep_gb * GB:
        typer.echo(f"{remaining / GB:.2f} GB remain because running processes use them")


@app.command()
def prepare(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a recipe.")],
    changes: Changes = None,
) -> None:
    """Prepare and cache the scans of a recipe.

    Training then starts without this step.

    Example: wsseg data prepare my-recipe.yaml
    """
    from wsseg.config.recipe_files import load_recipe
    from wsseg.report.formatting import counted
    from wsseg.runtime.console import Display
    from wsseg.training.run import prepare_all, split_of

    loaded = load_recipe(recipe, changes or [])
    split = split_of(loaded)
    display, number = Display(), len(split.test)
    prepare_all(split.test, loaded, loaded.stages.values(), display)
    for stages in loaded.stages_by_cohort:
        cases = split.training_cases(next(iter(stages)))
        number += len(prepare_all(cases, loaded, stages.values(), display))
    typer.echo(f"{counted(number, 'scan')} prepared")


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="Folder to create for the scans and cohort.csv.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of scans.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random generator.")] = 0,
    use: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Name of the synthetic cohort, if several are installed."
        ),
    ] = None,
) -> None:
    """Write synthetic scans with their masks.

    Example: wsseg data phantom --out phantoms --cases 8
    """
    from wsseg.report.formatting import counted
    from wsseg.runtime.console import Display

    display, cohort = Display(), _synthetic_cohort(use, cases, seed)
    with display.steps("writing scans", cases) as advance:
        cohort.write(out, lambda name: advance(1, name))
    table = out.absolute() / "cohort.csv"
    display.note(
        f"{counted(cases, 'scan')}: {out}\nin a recipe: cohort: {{use: table, path: {table}}}"
    )


def _synthetic_cohort(use: str | None, cases: int, seed: int) -> "Synthetic":
    """Return the installed synthetic cohort; `use` selects one of several."""
    from wsseg.components.registry import registry
    from wsseg.core.interfaces import Cohort, Synthetic
    from wsseg.errors import InputError, known_words

    names = [
        n for n in registry().names(Cohort) if issubclass(registry().find(Cohort, n), Synthetic)
    ]
    if not names:
        raise InputError("no installed plugin offers a synthetic cohort; see `wsseg plugins list`")
    if use not in names and (use is not None or len(names) > 1):
        raise InputError(
            f"--use {use}: no synthetic cohort has this name; {known_words(str(use), names)}"
        )
    cohort = registry().make(Cohort, use or names[0], cases=cases, seed=seed)
    assert isinstance(cohort, Synthetic), "names has only subclasses"  # noqa: S101
    return cohort
