"""Writes the tables of the READMEs from the committed rows.

Run it after a suite: .venv/bin/python benchmarks/write_readmes.py
A table stands between <!-- rows SUITE CLASS --> and <!-- end -->; CLASS is left out for the target.
"""

import re
from pathlib import Path

from wsseg.files import write_text
from wsseg.report.markdown import markdown_table
from wsseg.score import read_rows
from wsseg.stats import summary

BENCHMARKS = Path(__file__).resolve().parent
READMES = (BENCHMARKS.parent / "README.md", *sorted(BENCHMARKS.glob("*/README.md")))
PLACE = re.compile(r"(<!-- rows (\S+)(?: (\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """Return a README's text with its tables made anew."""

    def table(place: re.Match[str]) -> str:
        begin, suite, name, end = place.groups()
        rows = read_rows(BENCHMARKS / suite / "rows.csv")
        prefix = f"{name}." if name else ""
        methods = summary(rows)
        if name:
            methods = methods.drop_duplicates([f"{prefix}dice", f"{prefix}dice_pooled"])
            methods = methods.assign(
                method="all methods" if len(methods) == 1 else methods["method"]
            )
        return f"{begin}\n{markdown_table(methods, prefix)}\n\n{end}"

    return PLACE.sub(table, text)


def main() -> None:
    """Write every README."""
    for path in READMES:
        text = path.read_text(encoding="utf-8")
        write_text(path, written(text))


if __name__ == "__main__":
    main()
