"""wsseg data cache."""

from typing import Annotated

import typer

GB = 10**9


def cache(
    keep_gb: Annotated[
        float | None,
        typer.Option(min=0, help="Delete the longest unused until at most so much is left."),
    ] = None,
) -> None:
    """Show what prepared data takes, or free it.

    Example: wsseg data cache --keep-gb 20
    """
    from wsseg.cache import entries, prune
    from wsseg.files import cache_folder

    found = entries()
    gone = prune(found, int(keep_gb * GB)) if keep_gb is not None else []
    for kind in sorted({entry.kind for entry in found}):
        sizes = [entry.bytes for entry in found if entry.kind == kind and entry not in gone]
        typer.echo(f"{kind:12}  {len(sizes):6}  {sum(sizes) / GB:8.2f} GB")
    typer.echo(f"in {cache_folder()}")
    if gone:
        freed = sum(entry.bytes for entry in gone) / GB
        typer.echo(f"deleted {len(gone)}, {freed:.2f} GB; a run that needs them makes them again")
