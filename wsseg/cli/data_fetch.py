"""wsseg data fetch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wsseg.core.interfaces import PublicDataset


def fetch(
    name: Annotated[str, typer.Argument(help="Which public data set, such as medseg-9.")],
    out: Annotated[Path, typer.Option(help="The folder that it is put into.")],
    at_hand: Annotated[
        Path | None, typer.Option("--from", help="A folder with files of it that are at hand.")
    ] = None,
) -> None:
    """Download a public data set; again, to go on with it.

    Example: wsseg data fetch medseg-9 --out data/medseg-9
    """
    from wsseg.components.registry import registry
    from wsseg.core.interfaces import Cohort
    from wsseg.data.download import RECORD, fetch
    from wsseg.runtime.console import Display

    display, source = Display(), _published(name).source
    display.note(f"licence: {source.licence}\ncite: {source.citation}\nsource: {source.page}")
    fetch(source, out, at_hand, display.bar)
    cases = registry().make(Cohort, name, root=out).cases()
    display.note(
        f"{len(cases)} cases: {out}, checksums in {RECORD}\n"
        f"in a recipe: cohort: {{use: {name}, root: {out}}}"
    )


def _published(name: str) -> "type[PublicDataset]":
    from wsseg.components.registry import registry
    from wsseg.core.interfaces import Cohort, PublicDataset
    from wsseg.errors import InputError, known_words

    known = {n: registry().find(Cohort, n) for n in registry().names(Cohort)}
    published: dict[str, type[PublicDataset]] = {
        n: cohort for n, cohort in known.items() if issubclass(cohort, PublicDataset)
    }
    if name not in published:
        raise InputError(f"{name}: is no data set to fetch; {known_words(name, published)}")
    return published[name]
