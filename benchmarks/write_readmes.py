"""Writes the tables of the READMEs from the committed rows.

Run it after a suite: .venv/bin/python benchmarks/write_readmes.py
A table stands between <!-- rows SUITE CLASS --> and <!-- end -->; CLASS is left out for the target.
<!-- way SUITE --> is the share of the way from the suite's baseline to its ceiling.
"""

import re
from pathlib import Path

import pandas as pd

from wsseg.comparison import MARK, MARKED, label, labelled
from wsseg.errors import InputError
from wsseg.files import write_text
from wsseg.report.markdown import markdown_covered, markdown_table
from wsseg.score import read_rows
from wsseg.stats import covered, summary
from wsseg.suite import Suite, load_suite

BENCHMARKS = Path(__file__).resolve().parent
READMES = (BENCHMARKS.parent / "README.md", *sorted(BENCHMARKS.glob("*/README.md")))
PLACE = re.compile(r"(<!-- (rows|way) (\S+)(?: (\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """Return a README's text with its tables made anew."""

    def table(place: re.Match[str]) -> str:
        begin, kind, suite, name, end = place.groups()
        told = load_suite(BENCHMARKS / suite / "suite.yaml")
        rows = labelled(read_rows(BENCHMARKS / suite / "rows.csv"), told.settings_from)
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


def main() -> None:
    """Write every README."""
    for path in READMES:
        text = path.read_text(encoding="utf-8")
        write_text(path, written(text))


if __name__ == "__main__":
    main()
