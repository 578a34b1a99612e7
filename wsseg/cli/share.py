"""The command `wsseg pack`."""

from pathlib import Path
from typing import Annotated

import typer

from wsseg.cli.runs import Run


def pack(
    run: Run,
    out: Annotated[Path, typer.Option(help="File to write; its name ends in .wsseg.")],
    licence: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Licence of the weights, such as cc-by-4.0."),
    ] = None,
    push_to_hub: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME", help="Also upload the file and its card to the Hugging Face Hub."
        ),
    ] = None,
) -> None:
    """Write a trained run as one file that can be shared.

    The file has the weights, the recipe, a model card with the scores, and versions. It has no
    images, masks, paths or names of cases; of tags, it has numbers only. The weights were fitted to
    the scans: check that you may share what is derived from the data.

    A repository that --push-to-hub creates is private. Log in before with `hf auth login`. Needs
    huggingface_hub (pip install 'wsseg[hub]').

    Example: wsseg pack runs/phi2 --out phi2.wsseg --licence cc-by-4.0
    """
    from wsseg.errors import InputError
    from wsseg.inference.packed_run import SUFFIX
    from wsseg.report.hub import push_to_hub as upload
    from wsseg.report.pack import pack as write
    from wsseg.runtime.console import Display

    if out.suffix != SUFFIX:
        raise InputError(f"{out}: the name of a packed run ends in {SUFFIX}; change --out")
    card = write(run, out, licence)
    display, size_mb = Display(), out.stat().st_size / 1e6
    display.note(f"{out}: {size_mb:.1f} MB\nnext: wsseg predict {out} SCAN --out DIR")
    if push_to_hub is not None:
        display.note(f"uploaded: {upload(push_to_hub, out, card)}")
