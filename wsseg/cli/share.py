"""The commands `wsseg pack` and `wsseg export`."""

from pathlib import Path
from typing import Annotated

import typer

from wsseg.cli.options import FolderOrFile, Run


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
    images, masks, paths or names of cases; of tags, it has only counts. The weights were fitted to
    the scans: check that you may share what is derived from the data.

    A repository that --push-to-hub creates is private. Log in first with `hf auth login`. Needs
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


def export(
    run: FolderOrFile,
    stage: Annotated[str, typer.Argument(help="The stage whose network is exported.")],
    onnx: Annotated[Path, typer.Option(help="ONNX file to write; its name ends in .onnx.")],
) -> None:
    """Write the network of a stage as ONNX.

    The file contains the normalisation of the input: `image` is (B, C, S, H, W) float32 in the unit
    of the images, for any number B of images of C channels and S slices, and `logits` is
    (B, K, H, W). The operators are those of opset 18. The logits are compared with PyTorch's by
    onnxruntime; they may differ by 0.001. Resampling, regions, `standardize` and `mirror` are not
    part of the file. Needs pip install 'wsseg[onnx]'.

    Example: wsseg export runs/first tumour --onnx tumour.onnx
    """
    from wsseg.errors import InputError, known_words
    from wsseg.inference.onnx_export import OPSET, export_onnx
    from wsseg.inference.run import load_run
    from wsseg.runtime.console import Display

    if onnx.suffix != ".onnx":
        raise InputError(f"{onnx}: the name of an ONNX file ends in .onnx; change --onnx")
    stages = load_run(run).pipeline.stages
    if stage not in stages:
        raise InputError(f"{run}: no stage is called {stage!r}; {known_words(stage, stages)}")
    difference = export_onnx(stages[stage], onnx)
    Display().note(f"{onnx}: opset {OPSET}, any batch size, within {difference:.1g} of PyTorch")
