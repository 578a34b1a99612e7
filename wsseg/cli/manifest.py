"""wsseg manifest verify."""

import typer

from wsseg.cli.runs import Run

app = typer.Typer(help="What a run read.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def manifest() -> None:
    """Keep `verify` a command of its own, though it is the only one."""


@app.command()
def verify(run: Run) -> None:
    """Check that the files a run read are unchanged.

    Example: wsseg manifest verify runs/phi2
    """
    from wsseg.errors import WorkError, escape_unprintable
    from wsseg.training.manifest import changed_files, read_manifest

    files = read_manifest(run)["files"]
    changed = changed_files(files)
    for each in changed:
        about = f"case {each.case}; {', '.join(each.uses)}"
        typer.echo(escape_unprintable(f"{each.what}: {each.path} ({about})"))
    number = len({each["path"] for each in files})
    if changed:
        raise WorkError(f"{run}: {len(changed)} of {number} files are not what the run read")
    typer.echo(f"{run}: all {number} files are what the run read")
