"""Writes the tables of the READMEs from the committed rows.

Run it after a suite: .venv/bin/python benchmarks/write_readmes.py
A table stands between <!-- rows SUITE CLASS --> and <!-- end -->; CLASS is left out for the target.
<!-- way SUITE --> is the share of the way from the suite's baseline to its ceiling.
<!-- figures SUITE KIND ... --> are figures, as files beside the rows.
"""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from wsseg.comparison import MARK, MARKED, label, labelled
from wsseg.errors import InputError
from wsseg.files import write_text
from wsseg.report.markdown import markdown_covered, markdown_table
from wsseg.report.pictures import Picture, of_errors, of_scores, of_settings, overlap
from wsseg.score import read_rows
from wsseg.stats import covered, summary
from wsseg.suite import Suite, load_suite, plan

BENCHMARKS = Path(__file__).resolve().parent
READMES = (BENCHMARKS.parent / "README.md", *sorted(BENCHMARKS.glob("*/README.md")))
PLACE = re.compile(
    r"(<!-- (rows|way|figures) (\S+)(?: ([^>]+?))? -->\n).*?(<!-- end -->)", re.DOTALL
)


def written(text: str) -> str:
    """Return a README's text with its tables made anew."""

    def table(place: re.Match[str]) -> str:
        begin, kind, suite, name, end = place.groups()
        told = load_suite(BENCHMARKS / suite / "suite.yaml")
        rows = labelled(read_rows(BENCHMARKS / suite / "rows.csv"), told.settings_from)
        if kind == "figures":
            shown = "\n\n".join(of_figures(rows, suite, told, name.split()))
        else:
            shown = of_the_way(rows, told) if kind == "way" else of_class(rows, name)
        note = f"\n\n{MARKED}." if MARK in shown else ""
        return f"{begin}\n{shown}{note}\n\n{end}"

    return PLACE.sub(table, text)


def of_class(rows: pd.DataFrame, name: str | None) -> str:
    """Return the results for a class, None: the target; equal ones are written once."""
    prefix, methods = f"{name}." if name else "", summary(rows)
    if name:
        methods = methods.drop_duplicates([f"{prefix}dice", f"{prefix}dice_pooled"])
        methods = methods.assign(method="all methods" if len(methods) == 1 else methods["method"])
    return markdown_table(methods, prefix)


def of_the_way(rows: pd.DataFrame, suite: Suite) -> str:
    """Return what each method covers of the way from the suite's baseline to its ceiling."""
    compare = suite.compare
    if compare is None or compare.ceiling is None:
        raise InputError("the suite names no `compare.ceiling`")
    baseline, ceiling = (
        label(each, suite.settings_from) for each in (compare.baseline, compare.ceiling)
    )
    return markdown_covered(covered(rows, baseline, ceiling))


def of_figures(rows: pd.DataFrame, name: str, suite: Suite, kinds: list[str]) -> Iterator[str]:
    """Yield a suite's figures as Markdown, each with its caption."""
    for file, picture in drawn(rows, name, suite, kinds):
        yield f"![{picture.alt}](figures/{file})\n\n*{picture.caption.strip()}*"


def figure_files(text: str) -> Iterator[tuple[Path, str]]:
    """Yield the files of the figures that a README asks for, with their content."""
    for _, kind, suite, kinds, _ in PLACE.findall(text):
        if kind == "figures":
            told = load_suite(BENCHMARKS / suite / "suite.yaml")
            rows = labelled(read_rows(BENCHMARKS / suite / "rows.csv"), told.settings_from)
            for file, picture in drawn(rows, suite, told, kinds.split()):
                svg = base64.b64decode(picture.uri.partition(",")[2]).decode()
                yield BENCHMARKS / suite / "figures" / file, svg


def drawn(
    rows: pd.DataFrame, name: str, suite: Suite, kinds: list[str]
) -> Iterator[tuple[str, Picture]]:
    """Yield a suite's figures of some kinds, as its page shows them, with their files' names."""
    methods = summary(rows)
    target = plan(suite, BENCHMARKS / name)[0].recipe.classes[-1]
    for kind in kinds:
        if kind == "scores":
            pictures = of_scores(rows, methods, suite.published)
        else:
            draw = {"dice": overlap, "settings": of_settings, "errors": of_errors}[kind]
            pictures = draw(rows, methods, target, suite.published)
        for number, picture in enumerate(pictures, 1):
            yield f"{kind}-{number}.svg", picture


def main() -> None:
    """Write every README, and the figures it shows."""
    for path in READMES:
        text = path.read_text(encoding="utf-8")
        for file, svg in figure_files(text):
            file.parent.mkdir(exist_ok=True)
            write_text(file, svg)
        write_text(path, written(text))


if __name__ == "__main__":
    main()
