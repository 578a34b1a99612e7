"""The time that finding 50 small plugins adds to importing them.

Each round runs two new processes, one without the plugins and one with them. All modules are
imported before components are found. Times are CPU times of the process.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.pages import fill_sections, markdown_table

PLUGINS, ROUNDS = 50, 9
QUANTITIES = (
    ("importing the modules of the plugins", "imports_ms"),
    ("finding all components, without the plugins", "registry_without_ms"),
    ("finding all components, with the plugins imported", "registry_with_ms"),
    ("**added by finding the plugins**", "added_ms"),
)

MODULE = '''"""A minimal plugin."""

import torch

from wsseg import Batch, Prior, Probability, hookimpl


class Half{number}(Prior):
    """The same probability everywhere."""

    level: float = 0.5

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, self.level)


@hookimpl
def wsseg_priors():
    return {{"half-{number}": Half{number}}}
'''
TIMING_SCRIPT = """
import gc, sys, time
from importlib import import_module
from wsseg.components.registry import registry

others, new = sys.argv[1].split(), sys.argv[2].split()
for module in others:
    import_module(module)
gc.collect()  # so that earlier objects are not collected while time is measured
start = time.process_time()
for module in new:
    import_module(module)
imported = time.process_time()
found = registry()
print(imported - start, time.process_time() - imported, len(found.offers), len(found.failures))
"""


@dataclass(frozen=True)
class Row:
    """One round, in milliseconds. `added_ms` is the time that finding the plugins adds."""

    turn: int
    plugins: int
    imports_ms: float
    registry_without_ms: float
    registry_with_ms: float
    added_ms: float


def write_plugins(site: Path, count: int) -> None:
    """Write `count` distributions as an installer does."""
    for number in range(count):
        name = f"wsseg_half_{number}"
        (site / f"{name}.py").write_text(MODULE.format(number=number), encoding="utf-8")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        text = f"Metadata-Version: 2.1\nName: wsseg-half-{number}\nVersion: 1.0\n"
        (info / "METADATA").write_text(text, encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[wsseg]\nhalf-{number} = {name}\n")


def measure(plugins: int, rounds: int) -> list[Row]:
    """Return a row for each round."""
    with tempfile.TemporaryDirectory() as name:
        empty, full = Path(name) / "empty", Path(name) / "full"
        empty.mkdir()
        full.mkdir()
        write_plugins(full, plugins)
        _times_ms(full, plugins)  # writes the bytecode
        return [_round(number, empty, full, plugins) for number in range(rounds)]


def updated(text: str, rows: Sequence[Row]) -> str:
    """Return the text of the README with its table made from the rows."""
    values = {column: [getattr(row, column) for row in rows] for _, column in QUANTITIES}
    table = markdown_table(
        "lrrr",
        ("", "median over rounds, ms", "minimum", "maximum"),
        *(
            (label, *(f"{f(values[column]):.1f}" for f in (statistics.median, min, max)))
            for label, column in QUANTITIES
        ),
    )
    return fill_sections(text, {"rows": lambda _: table})


def _round(number: int, empty: Path, full: Path, plugins: int) -> Row:
    _, without, before = _times_ms(empty, 0)
    imports, with_plugins, after = _times_ms(full, plugins)
    if after != before + plugins:
        raise RuntimeError(f"{after - before} of {plugins} plugins were found")
    added = with_plugins - without
    return Row(number, plugins, *(round(ms, 1) for ms in (imports, without, with_plugins, added)))


def _times_ms(site: Path, count: int) -> tuple[float, float, int]:
    """Return the times of importing and finding, and the number of components that were found."""
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    others = {entry_point.module for entry_point in metadata.entry_points(group="wsseg")}
    new = [f"wsseg_half_{number}" for number in range(count)]
    process = subprocess.run(  # noqa: S603 - this interpreter, on the script above
        [sys.executable, "-c", TIMING_SCRIPT, " ".join(sorted(others)), " ".join(new)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    imports, finding, components, failures = process.stdout.split()
    if failures != "0":
        raise RuntimeError(f"{failures} plugins were not loaded")
    return 1e3 * float(imports), 1e3 * float(finding), int(components)
