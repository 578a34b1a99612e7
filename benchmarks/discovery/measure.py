"""What it costs to find plugins: 50 small ones, beside what importing them costs.

Run: .venv/bin/python benchmarks/discovery/measure.py, which writes rows.csv and the README's table.
Each turn is two fresh processes, one without and one with the plugins, in which all modules are
imported before parts are found. Times are of the process's own work (CPU).
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pandas as pd

from wsseg.runtime.files import write_text

HERE = Path(__file__).resolve().parent
PLACE = re.compile(r"(<!-- rows -->\n).*?(<!-- end -->)", re.DOTALL)
PLUGINS, TURNS = 50, 9

MODULE = '''"""A plugin, as small as can be."""

import torch

from wsseg import Batch, Prior, Probability, hookimpl


class Half{number}(Prior):
    """No opinion."""

    level: float = 0.5

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, self.level)


@hookimpl
def wsseg_priors():
    return {{"half-{number}": Half{number}}}
'''
TIMED = """
import gc, sys, time
from importlib import import_module
from wsseg.components.registry import registry

others, new = sys.argv[1].split(), sys.argv[2].split()
for module in others:
    import_module(module)
gc.collect()  # what was there before is not to be collected in the time that counts
start = time.process_time()
for module in new:
    import_module(module)
imported = time.process_time()
found = registry()
print(imported - start, time.process_time() - imported, len(found.offers), len(found.failures))
"""


def write_plugins(site: Path, count: int) -> None:
    """Write `count` distributions as an installer leaves them."""
    for number in range(count):
        name = f"wsseg_half_{number}"
        (site / f"{name}.py").write_text(MODULE.format(number=number), encoding="utf-8")
        about = site / f"{name}-1.0.dist-info"
        about.mkdir()
        text = f"Metadata-Version: 2.1\nName: wsseg-half-{number}\nVersion: 1.0\n"
        (about / "METADATA").write_text(text, encoding="utf-8")
        (about / "entry_points.txt").write_text(f"[wsseg]\nhalf-{number} = {name}\n")


def timed(site: Path, count: int) -> tuple[float, float, int]:
    """Return how many ms importing and finding took, and how many parts were found."""
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    others = {entry_point.module for entry_point in metadata.entry_points(group="wsseg")}
    new = [f"wsseg_half_{number}" for number in range(count)]
    done = subprocess.run(  # noqa: S603 - this interpreter, on the text above
        [sys.executable, "-c", TIMED, " ".join(sorted(others)), " ".join(new)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    imports, finding, offers, failures = done.stdout.split()
    if failures != "0":
        raise RuntimeError(f"{failures} plugins were not loaded")
    return 1e3 * float(imports), 1e3 * float(finding), int(offers)


def measure(plugins: int, turns: int) -> pd.DataFrame:
    """Return a row a turn; `added_ms` is what finding the plugins adds to importing them."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        empty, full = Path(name) / "empty", Path(name) / "full"
        empty.mkdir()
        full.mkdir()
        write_plugins(full, plugins)
        timed(full, plugins)  # writes the bytecode
        for turn in range(turns):
            _, without, few = timed(empty, 0)
            imports, finding, many = timed(full, plugins)
            if many != few + plugins:
                raise RuntimeError(f"{many - few} of {plugins} plugins were found")
            rows.append(
                {
                    "turn": turn,
                    "plugins": plugins,
                    "imports_ms": round(imports, 1),
                    "registry_without_ms": round(without, 1),
                    "registry_with_ms": round(finding, 1),
                    "added_ms": round(finding - without, 1),
                }
            )
    return pd.DataFrame(rows)


def written(text: str, rows: pd.DataFrame) -> str:
    """Return the README's text with its table made from the rows."""
    lines = [
        "| | median of turns, ms | from | to |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {label} | {statistics.median(rows[column]):.1f} | "
            f"{rows[column].min():.1f} | {rows[column].max():.1f} |"
            for label, column in (
                ("importing the plugins' modules", "imports_ms"),
                ("finding all parts, without them", "registry_without_ms"),
                ("finding all parts, with them imported", "registry_with_ms"),
                ("**what finding them adds**", "added_ms"),
            )
        ),
    ]
    table = "\n".join(lines)
    return PLACE.sub(lambda place: f"{place[1]}\n{table}\n\n{place[2]}", text)


def main() -> None:
    """Measure, and write rows.csv and the README."""
    rows = measure(PLUGINS, TURNS)
    write_text(HERE / "rows.csv", rows.to_csv(index=False))
    readme = HERE / "README.md"
    write_text(readme, written(readme.read_text(encoding="utf-8"), rows))


if __name__ == "__main__":
    main()
