"""Time and memory over the number of cases, and for one very large scan."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.resource_use import ResourceUse, measure_command
from benchmarks.speed.scan_file import write_scan
from benchmarks.speed.timing import Measurement
from wsseg.runtime.files import write_text
from wsseg_covid.phantom.cohort import LungPhantom

MAX_GROWTH_MIB, MAX_SCAN_MIB = 300, 2048
RECIPE = """\
extends: {extends}
cohort: {{use: table, path: cohort.csv}}
input: {{size: {size}}}
stages:
  infection: {{epochs: 1, optimizer: {{lr: {{start: 1.0e-3}}}}}}
  consolidation: {{epochs: 1, optimizer: {{lr: {{start: 1.0e-3}}}}}}
"""


@dataclass(frozen=True)
class Cases:
    """Phantom cases of 64 × 64 × 10 voxels: `wsseg train covid/demo-phi2` and `wsseg predict`.

    Each stage trains for one epoch on two thirds of the cases; all cases are predicted. Then the
    paper's network predicts a scan of 512 × 512 × 600 voxels at 256 × 256. The cache is empty
    before each command. Memory is the peak of the process and its children, sampled every 50 ms:
    anonymous memory is without mapped files and shared memory, resident memory is everything.
    """

    numbers: tuple[int, ...] = (5, 20, 100, 400)
    size: int = 64
    slices: int = 10
    scan: tuple[int, int] = (512, 600)
    paper: str = "covid/phi2"

    def measure(self) -> Iterator[Measurement]:
        """Yield time and memory for each number of cases, their growth, and for a large scan."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            phantoms = folder / "phantoms"
            cohort = LungPhantom(cases=max(self.numbers), size=self.size, slices=self.slices)
            cohort.write(phantoms, lambda _: None)
            train, predict = dict[int, ResourceUse](), dict[int, ResourceUse]()
            for number in self.numbers:
                place = folder / f"{number} cases"
                _write(place, phantoms, number, "covid/demo-phi2", self.size)
                train[number] = _measure(place, "train", "recipe.yaml", "--out", "run")
                predict[number] = _measure(place, "predict", "run", "cohort.csv", "--out", "masks")
            yield from _growth("train", train)
            yield from _growth("predict", predict)
            yield from self._large(folder, phantoms)

    def _large(self, folder: Path, phantoms: Path) -> Iterator[Measurement]:
        place = folder / "large"
        _write(place, phantoms, min(self.numbers), self.paper, self.scan[0] // 2)
        _measure(place, "train", "recipe.yaml", "--out", "run")
        scan = write_scan(place / "scan.nii.gz", *self.scan)
        use = _measure(place, "predict", "run", scan, "--out", "masks")
        about = f"predict, {self.scan[0]} × {self.scan[0]} × {self.scan[1]}"
        yield Measurement(f"{about}, time", (use.seconds,), "s")
        yield Measurement(
            f"{about}, resident memory", (use.resident_mib,), "MiB", most=MAX_SCAN_MIB
        )


def _measure(place: Path, *words: str | Path) -> ResourceUse:
    """Run a command with an empty cache."""
    return measure_command(place, *words, cache=place / f"cache of {words[0]}")


def _write(place: Path, phantoms: Path, number: int, extends: str, size: int) -> None:
    """Write a cohort of the first `number` cases, and a recipe for it."""
    with (phantoms / "cohort.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    paths = [index for index, column in enumerate(rows[0]) if column == "image" or "mask" in column]
    for row in rows[1:]:
        for index in paths:
            row[index] = str(phantoms / row[index]) if row[index] else ""
    place.mkdir()
    with (place / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows[: number + 1])
    write_text(place / "recipe.yaml", RECIPE.format(extends=extends, size=size))


def _growth(what: str, uses: Mapping[int, ResourceUse]) -> Iterator[Measurement]:
    """Yield time and memory for each number of cases, and their growth."""
    for number, each in uses.items():
        yield Measurement(f"{what}, {number} cases, time", (each.seconds,), "s")
        yield Measurement(f"{what}, {number} cases, anonymous memory", (each.anonymous_mib,), "MiB")
    few, middle, many = sorted(uses)[-3:]
    seconds_per_case = {number: uses[number].seconds / number for number in (middle, many)}
    yield Measurement(
        f"{what}, time per case with {many} / with {middle}",
        (seconds_per_case[many] / seconds_per_case[middle],), "×", most=1.1,
    )  # fmt: skip
    growth_mib = uses[many].anonymous_mib - uses[few].anonymous_mib
    yield Measurement(
        f"{what}, memory of {many} cases above that of {few}",
        (growth_mib,),
        "MiB",
        most=MAX_GROWTH_MIB,
    )
