"""wsseg data cache."""

from typing import Annotated

import typer


def cache(
    keep_gb: Annotated[
        float | None,
        typer.Option(min=0, help="Delete the longest unused until at most so much is left."),
    ] = None,
) -> None:
    """Show what prepared data takes, or free it.

    Preparing scans keeps it below $WSSEG_CACHE_GB (50 by default) by itself. What a running
    process uses is never deleted.

    Example: wsseg data cache --keep-gb 20
    """
    from wsseg.runtime.cache import GB, LIMIT, entries, limit_bytes, prune, sweep
    from wsseg.runtime.files import cache_folder

    found, gone = entries(), []
    if keep_gb is not None:
        sweep()
        gone = prune(found, keep_gb * GB)
    for kind in sorted({entry.kind for entry in found}):
        sizes = [entry.bytes for entry in found if entry.kind == kind and entry not in gone]
        typer.echo(f"{kind:12}  {len(sizes):6}  {sum(sizes) / GB:8.2f} GB")
    typer.echo(f"in {cache_folder()}, at most {limit_bytes() / GB:g} GB ({LIMIT})")
    if gone:
        freed = sum(entry.bytes for entry in gone) / GB
        typer.echo(f"deleted {len(gone)}, {freed:.2f} GB; a run that needs them makes them again")
    left = sum(entry.bytes for entry in found) - sum(entry.bytes for entry in gone)
    if keep_gb is not None and left > keep_gb * GB:
        typer.echo(f"{left / GB:.2f} GB are left: running processes use them")
