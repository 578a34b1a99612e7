"""Time and memory by the number of cases, and of one very large scan."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.scan_file import write_scan
from benchmarks.speed.timing import Row
from benchmarks.speed.watched import Spent, watched
from wsseg.runtime.files import write_text
from wsseg_covid.phantom.cohort import LungPhantom

MOST_MIB, MOST_SCAN_MIB = 300, 2048
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

    An epoch a stage; two thirds of the cases are trained on, all predicted. Then a scan of
    512 × 512 × 600 voxels by the paper's network at 256 × 256. The cache is empty before each.
    Memory is that of the process and its children, seen every 50 ms, at its highest: anonymous is
    what they hold themselves, without files that are mapped; resident is all.
    """

    numbers: tuple[int, ...] = (5, 20, 100, 400)
    size: int = 64
    slices: int = 10
    scan: tuple[int, int] = (512, 600)
    paper: str = "covid/phi2"

    def measure(self) -> Iterator[Row]:
        """Yield times and memory for each number of cases, how they grow, and the large scan's."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            phantoms = folder / "phantoms"
            cohort = LungPhantom(cases=max(self.numbers), size=self.size, slices=self.slices)
            cohort.write(phantoms, lambda _: None)
            train, predict = dict[int, Spent](), dict[int, Spent]()
            for number in self.numbers:
                place = folder / f"{number} cases"
                _write(place, phantoms, number, "covid/demo-phi2", self.size)
                train[number] = _in(place, "train", "recipe.yaml", "--out", "run")
                predict[number] = _in(place, "predict", "run", "cohort.csv", "--out", "masks")
            yield from _grown("train", train)
            yield from _grown("predict", predict)
            yield from self._large(folder, phantoms)

    def _large(self, folder: Path, phantoms: Path) -> Iterator[Row]:
        place = folder / "large"
        _write(place, phantoms, min(self.numbers), self.paper, self.scan[0] // 2)
        _in(place, "train", "recipe.yaml", "--out", "run")
        scan = write_scan(place / "scan.nii.gz", *self.scan)
        spent = _in(place, "predict", "run", scan, "--out", "masks")
        about = f"predict, {self.scan[0]} × {self.scan[0]} × {self.scan[1]}"
        yield Row(f"{about}, time", (spent.seconds,), "s")
        yield Row(f"{about}, resident memory", (spent.resident_mib,), "MiB", most=MOST_SCAN_MIB)


def _in(place: Path, *words: str | Path) -> Spent:
    """Run a command as a new user would, with nothing in the cache."""
    return watched(place, *words, cache=place / f"cache of {words[0]}")


def _write(place: Path, phantoms: Path, number: int, extends: str, size: int) -> None:
    """Write a cohort of the first cases, and a recipe for it."""
    with (phantoms / "cohort.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    paths = [at for at, column in enumerate(rows[0]) if column == "image" or "mask" in column]
    for row in rows[1:]:
        for at in paths:
            row[at] = str(phantoms / row[at]) if row[at] else ""
    place.mkdir()
    with (place / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows[: number + 1])
    write_text(place / "recipe.yaml", RECIPE.format(extends=extends, size=size))


def _grown(what: str, spent: Mapping[int, Spent]) -> Iterator[Row]:
    """Tell each number's time and memory, and how they grow."""
    for number, each in spent.items():
        yield Row(f"{what}, {number} cases, time", (each.seconds,), "s")
        yield Row(f"{what}, {number} cases, anonymous memory", (each.anonymous_mib,), "MiB")
    few, middle, many = sorted(spent)[-3:]
    a_case = {number: spent[number].seconds / number for number in (middle, many)}
    yield Row(
        f"{what}, time a case with {many}, of that with {middle}",
        (a_case[many] / a_case[middle],), "×", most=1.1,
    )  # fmt: skip
    more_mib = spent[many].anonymous_mib - spent[few].anonymous_mib
    yield Row(
        f"{what}, memory of {many} cases above that of {few}", (more_mib,), "MiB", most=MOST_MIB
    )
