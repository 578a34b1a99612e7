"""Writes the tables of the READMEs from the committed rows.

Run it after a suite: .venv/bin/python benchmarks/write_readmes.py
A table stands between <!-- rows SUITE CLASS --> and <!-- end -->; CLASS is left out for the target.
<!-- way SUITE --> is the share of the way from the suite's baseline to its ceiling.
<!-- figures SUITE KIND ... --> are figures, as files beside the rows.
<!-- index SUITE ... --> is a line for each suite.
"""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from wsseg.errors import InputError
from wsseg.evaluation.comparison import gap_closed
from wsseg.evaluation.method_labels import MARK, MARK_NOTE, label_methods, method_label
from wsseg.evaluation.rows import read_rows
from wsseg.evaluation.summary import summarise
from wsseg.report.figures.sections import Picture, of_errors, of_scores, of_settings, overlap
from wsseg.report.markdown import markdown_covered, markdown_table
from wsseg.runtime.files import write_text
from wsseg.suite.definition import Suite, load_suite, plan

BENCHMARKS = Path(__file__).resolve().parent
READMES = (
    BENCHMARKS.parent / "README.md",
    BENCHMARKS / "README.md",
    *sorted(BENCHMARKS.glob("*/README.md")),
)
PLACE = re.compile(
    r"(<!-- (rows|way|figures|index) (\S+)(?: ([^>]+?))? -->\n).*?(<!-- end -->)", re.DOTALL
)


def written(text: str) -> str:
    """Return a README's text with its tables made anew."""

    def table(place: re.Match[str]) -> str:
        begin, kind, suite, name, end = place.groups()
        told, rows = read(suite)
        if kind == "index":
            shown = index([suite, *name.split()])
        elif kind == "figures":
            shown = "\n\n".join(of_figures(rows, suite, told, name.split()))
        else:
            shown = of_the_way(rows, told) if kind == "way" else of_class(rows, name)
        note = f"\n\n{MARK_NOTE}." if MARK in shown else ""
        return f"{begin}\n{shown}{note}\n\n{end}"

    return PLACE.sub(table, text)


def read(name: str) -> tuple[Suite, pd.DataFrame]:
    """Return a suite, and its rows with its methods' names as tables show them."""
    suite = load_suite(BENCHMARKS / name / "suite.yaml")
    rows = read_rows(BENCHMARKS / name / "rows.csv")
    return suite, label_methods(rows, suite.settings_from)


def index(names: list[str]) -> str:
    """Return a table of suites: what each is, its baseline, its best method and its ceiling."""
    heads = "| suite | cases | seeds | baseline | best of the others | ceiling |"
    return "\n".join([heads, "| --- | ---: | ---: | --- | --- | --- |", *map(line_of, names)])


def line_of(name: str) -> str:
    """Return a suite's line of the index, with mean and pooled Dice."""
    suite, rows = read(name)
    found = summarise(rows).set_index("method")
    compare = suite.compare
    if compare is None:
        raise InputError(f"{name}: the suite names no `compare.baseline`")
    ends = {
        word: method_label(method, suite.settings_from)
        for word, method in (("baseline", compare.baseline), ("ceiling", compare.ceiling))
        if method is not None
    }
    best = str(found["dice_shared"].drop([*ends.values()]).idxmax())

    def cell(method: str | None) -> str:
        if method is None:
            return ""
        return f"{method}: {found['dice'][method]:.3f}, {found['dice_pooled'][method]:.3f}"

    title = (BENCHMARKS / name / "README.md").read_text(encoding="utf-8").partition("\n")[0]
    link = f"[{title.removeprefix('# ')}]({name}/README.md)"
    counts = (link, rows["case"].nunique(), rows["seed"].nunique())
    cells = [*map(str, counts), cell(ends["baseline"]), cell(best), cell(ends.get("ceiling"))]
    return f"| {' | '.join(cells)} |"


def of_class(rows: pd.DataFrame, name: str | None) -> str:
    """Return the results for a class, None: the target; equal ones are written once."""
    prefix, methods = f"{name}." if name else "", summarise(rows)
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
        method_label(each, suite.settings_from) for each in (compare.baseline, compare.ceiling)
    )
    return markdown_covered(gap_closed(rows, baseline, ceiling))


def of_figures(rows: pd.DataFrame, name: str, suite: Suite, kinds: list[str]) -> Iterator[str]:
    """Yield a suite's figures as Markdown, each with its caption."""
    for file, picture in drawn(rows, name, suite, kinds):
        yield f"![{picture.alt}](figures/{file})\n\n*{picture.caption.strip()}*"


def figure_files(text: str) -> Iterator[tuple[Path, str]]:
    """Yield the files of the figures that a README asks for, with their content."""
    for _, kind, suite, kinds, _ in PLACE.findall(text):
        if kind == "figures":
            told, rows = read(suite)
            for file, picture in drawn(rows, suite, told, kinds.split()):
                svg = base64.b64decode(picture.uri.partition(",")[2]).decode()
                yield BENCHMARKS / suite / "figures" / file, svg


def drawn(
    rows: pd.DataFrame, name: str, suite: Suite, kinds: list[str]
) -> Iterator[tuple[str, Picture]]:
    """Yield a suite's figures of some kinds, as its page shows them, with their files' names."""
    methods = summarise(rows)
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
