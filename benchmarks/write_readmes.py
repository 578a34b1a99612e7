"""Write the tables and figures of all READMEs from the committed rows of the suites.

Run it after a suite: python -m benchmarks.write_readmes

A README has sections <!-- KIND ARGUMENTS --> ... <!-- end -->, whose content is generated:

- rows SUITE CLASS: a table of results; without CLASS for the target
- seeds SUITE: the pooled Dice, TPR and FPR of each method by seed
- way SUITE: the share of the gap from the baseline of the suite to its ceiling
- auroc SUITE: the pixel AUROC of each method: see `benchmarks.pixel_auroc`
- figures SUITE KIND ...: figures, which are files in the folder of the suite
- index SUITE ...: a table with a row for each suite
- origin SUITE: what made the rows of the suite: commit, versions, machine, dates and durations
- terminal SUITE: what `wsseg bench run` prints at its end
"""

import base64
from collections.abc import Iterator, Sequence
from functools import cache
from io import StringIO
from pathlib import Path

import pandas as pd
from rich.console import Console

from benchmarks import pages, pixel_auroc
from benchmarks.pages import fill_sections, markdown_table, sections
from benchmarks.suite_tables import gap_table, results_table
from wsseg.errors import InputError
from wsseg.evaluation.comparison import gap_closed, gap_problem
from wsseg.evaluation.method_labels import MARK, MARK_NOTE, label_methods, method_label
from wsseg.evaluation.rows import read_rows
from wsseg.evaluation.summary import rankable_dice, summarise
from wsseg.report.figures.sections import (
    Picture,
    dice_figures,
    error_figures,
    score_figures,
    settings_figures,
)
from wsseg.report.provenance import origin_of_rows
from wsseg.report.terminal import terminal_comparison
from wsseg.runtime.files import write_text
from wsseg.suite.definition import Suite, load_suite, plan

BENCHMARKS = Path(__file__).resolve().parent
TERMINAL_COLUMNS = 100
READMES = (
    BENCHMARKS.parent / "README.md",
    BENCHMARKS / "README.md",
    *(
        path.with_name("README.md")
        for path in sorted(BENCHMARKS.glob("*/suite.yaml"))
        if path.with_name("rows.csv").exists()
    ),
)


def updated(text: str) -> str:
    """Return the text of a README with all its sections generated again."""
    return fill_sections(text, SECTIONS)


def figure_files(text: str) -> Iterator[tuple[Path, str]]:
    """Yield the path and the content of each figure of a README."""
    for kind, arguments in sections(text, SECTIONS):
        if kind == "figures":
            name, *figures = arguments.split()
            for file, picture in _pictures(name, *figures):
                svg = base64.b64decode(picture.uri.partition(",")[2]).decode()
                yield BENCHMARKS / name / "figures" / file, svg


@cache
def _read_suite(name: str) -> tuple[Suite, pd.DataFrame]:
    """Return a suite and its rows, whose methods have the labels that tables show."""
    suite = load_suite(BENCHMARKS / name / "suite.yaml")
    rows = read_rows(BENCHMARKS / name / "rows.csv")
    return suite, label_methods(rows, suite.chosen_from)


@cache
def _summary(name: str) -> pd.DataFrame:
    """Return the summary of the rows of a suite, which several sections and pages show."""
    return summarise(_read_suite(name)[1])


def _rows_section(arguments: str) -> str:
    """Return the results for a class; equal results of all methods are one row."""
    name, _, class_name = arguments.partition(" ")
    methods = _summary(name)
    prefix = f"{class_name}." if class_name else ""
    if class_name:
        methods = methods.drop_duplicates([f"{prefix}dice", f"{prefix}dice_pooled"])
        methods = methods.assign(method="all methods" if len(methods) == 1 else methods["method"])
    return _with_note(results_table(methods, class_name))


def _seeds_section(name: str) -> str:
    """Return the pooled Dice, TPR and FPR of each method by seed."""
    rows = _read_suite(name)[1]
    by_seed = {
        f"seed {seed}": summarise(own).set_index("method") for seed, own in rows.groupby("seed")
    }
    body = (
        (method, *(_pooled_cell(found.loc[method]) for found in by_seed.values()))
        for method in _summary(name)["method"]
    )
    header = ("Dice, pooled (TPR, FPR)", *by_seed)
    return _with_note(markdown_table("l" + "r" * len(by_seed), header, *body))


def _pooled_cell(result: pd.Series) -> str:
    return f"{result['dice_pooled']:.3f} ({result['tpr']:.2f}, {result['fpr']:.2f})"


def _way_section(name: str) -> str:
    """Return the share of the gap from the baseline of a suite to its ceiling."""
    suite, rows = _read_suite(name)
    compare = suite.compare
    if compare is None or compare.ceiling is None:
        raise InputError(f"{name}: the suite has no `compare.ceiling`")
    baseline, ceiling = (
        method_label(each, suite.chosen_from) for each in (compare.baseline, compare.ceiling)
    )
    problem = gap_problem(_summary(name), baseline, ceiling)
    return _with_note(problem or gap_table(gap_closed(rows, baseline, ceiling)))


def _auroc_section(name: str) -> str:
    """Return the pixel AUROC of each method of a suite."""
    rows = pages.read_rows(pixel_auroc.rows_file(name), pixel_auroc.Row)
    return _with_note(pixel_auroc.pixel_auroc_table(_read_suite(name)[0], rows))


def _figures_section(arguments: str) -> str:
    """Return figures of a suite with their captions."""
    name, *kinds = arguments.split()
    return _with_note(
        "\n\n".join(
            f"![{picture.alt}](figures/{file})\n\n*{picture.caption.strip()}*"
            for file, picture in _pictures(name, *kinds)
        )
    )


def _index_section(arguments: str) -> str:
    """Return a table of suites with their baselines, best methods and ceilings."""
    header = ("suite", "cases", "seeds", "baseline", "best of the others", "ceiling")
    return _with_note(markdown_table("lrrlll", header, *map(_index_row, arguments.split())))


def _index_row(name: str) -> tuple[object, ...]:
    """Return the row of a suite in the index: Dice where present (n), and pooled Dice."""
    suite, rows = _read_suite(name)
    found = _summary(name).set_index("method")
    compare = suite.compare
    if compare is None:
        raise InputError(f"{name}: the suite has no `compare.baseline`")
    baseline, ceiling = (
        None if method is None else method_label(method, suite.chosen_from)
        for method in (compare.baseline, compare.ceiling)
    )
    named = [each for each in (baseline, ceiling) if each is not None]
    if missing := [each for each in named if each not in found.index]:
        raise InputError(f"{name}: {missing[0]} has no rows; run the suite")
    others = rankable_dice(found).drop(named)

    def cell(method: str | None) -> str:
        if method is None:
            return ""
        mean, pooled = (found[name][method] for name in ("dice", "dice_pooled"))
        return f"{method}: {mean:.3f} ({found['dice_n'][method]}), {pooled:.3f}"

    title = (BENCHMARKS / name / "README.md").read_text(encoding="utf-8").partition("\n")[0]
    link = f"[{title.removeprefix('# ')}]({name}/README.md)"
    counts = (rows["case"].nunique(), rows["seed"].nunique())
    return (link, *counts, cell(baseline), cell(str(others.idxmax())), cell(ceiling))


def _origin_section(name: str) -> str:
    """Return what made the rows of a suite."""
    origin = origin_of_rows(_read_suite(name)[1])
    if not origin:
        return "These rows were made before their origin was recorded."
    return "\n".join(f"- {heading}: {text}" for heading, text in origin.items())


def _terminal_section(name: str) -> str:
    """Return the end of the output of `wsseg bench run`, as a block of code."""
    suite, rows = _read_suite(name)
    console = Console(file=StringIO(), width=TERMINAL_COLUMNS)
    with console.capture() as captured:
        console.print(terminal_comparison(rows, suite.compare, suite.chosen_from))
    printed = "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")
    files = f"rows: runs/{name}/rows.csv\nreport: runs/{name}/report.html"
    return f"```\n{printed}\n{files}\n```"


@cache
def _pictures(name: str, *kinds: str) -> Sequence[tuple[str, Picture]]:
    """Return the file name of each figure of a suite, and the figure as its report shows it."""
    (suite, rows), summary = _read_suite(name), _summary(name)
    found: list[tuple[str, Picture]] = []
    target = plan(suite, BENCHMARKS / name)[0].recipe.classes[-1]
    for kind in kinds:
        if kind == "scores":
            pictures = score_figures(rows, summary, suite.published)
        else:
            draw = {"dice": dice_figures, "settings": settings_figures, "errors": error_figures}
            pictures = draw[kind](rows, summary, target, suite.published)
        found += [(f"{kind}-{number}.svg", each) for number, each in enumerate(pictures, 1)]
    return found


def _with_note(content: str) -> str:
    """Add the note that explains the mark of methods, if the content has the mark."""
    return f"{content}\n\n{MARK_NOTE}." if MARK in content else content


SECTIONS = {
    "rows": _rows_section,
    "seeds": _seeds_section,
    "way": _way_section,
    "auroc": _auroc_section,
    "figures": _figures_section,
    "index": _index_section,
    "origin": _origin_section,
    "terminal": _terminal_section,
}


def main() -> None:
    """Write all READMEs and their figures; name those whose suites have to run first."""
    for path in READMES:
        try:
            _write(path)
        except InputError as error:
            print(f"{path}: not updated: {error}")


def _write(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    new, figures = updated(text), list(figure_files(text))
    for file, svg in figures:
        file.parent.mkdir(exist_ok=True)
        write_text(file, svg)
    write_text(path, new)


if __name__ == "__main__":
    main()
