"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

PARALLEL = "Parallel processing"  # the heading of these options in the help

Run = Annotated[Path, typer.Argument(help="The folder of a run, written by `wsseg train`.")]
FolderOrFile = Annotated[
    Path, typer.Argument(help="The folder of a run, or a file written by `wsseg pack`.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a recipe value, such as seed=1 or a.b.c=VALUE. Repeatable.",
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FINDING", help="Continue despite this finding of `wsseg data check`. Repeatable."
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN",
        help="Rename columns: NAME=COLUMN,NAME=COLUMN, such as Pat-ID=patient; NAME= ignores a "
        "column. Repeatable.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        rich_help_panel=PARALLEL,
        help="Number of parallel worker processes (default: 1).",
    ),
]
Backend = Annotated[
    Literal["loky", "dask"],
    typer.Option(rich_help_panel=PARALLEL, help="loky: local processes; dask: a Dask cluster."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        rich_help_panel=PARALLEL,
        help="Address of the Dask scheduler, with --backend dask.",
    ),
]

NameBy = Annotated[
    str,
    typer.Option(
        metavar="path|TABLE.csv",
        help="Name DICOM scans after their folders (path), or by a table with the columns case and "
        "PatientID or AccessionNumber.",
    ),
]
