"""Accuracy after training in bfloat16 and in float32."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.timing import Measurement, in_new_process
from wsseg import train
from wsseg.config.recipe_files import load_recipe
from wsseg.data.reading import read_case_mask
from wsseg.evaluation.manifest_cases import held_out_cases
from wsseg.runtime.device import used_precision
from wsseg.runtime.files import write_text

CLASS = "infection"
RECIPE = """\
extends: covid/demo-threshold
seed: {seed}
precision: {precision}
cohort: {{cases: {cases}, size: {size}, slices: {slices}}}
input: {{size: {size}}}
stages:
  infection: {{backbone: {{width: {width}}}, epochs: {epochs}}}
"""


@dataclass(frozen=True)
class Precisions:
    """Dice of infection on the test cases of the phantom, after training in bfloat16 and float32.

    A shorter version of the first stage of the demo. Values are the median over seeds and their
    range. The two means may differ by the range over seeds of one precision, the larger of the two.
    Nothing is measured where networks compute in float32, because bfloat16 is emulated there.
    """

    cases: int = 24
    size: int = 128
    slices: int = 20
    width: int = 16
    epochs: int = 6
    seeds: tuple[int, ...] = (0, 1, 2)

    def measure(self) -> Iterator[Measurement]:
        """Yield the Dice of both precisions, and the difference of their means."""
        if used_precision("auto") == "float32":
            return
        means, ranges = list[float](), list[float]()
        with TemporaryDirectory() as name, empty_cache():
            for precision in ("bfloat16", "float32"):
                folder = Path(name) / precision
                found = tuple(
                    self._dice(folder / f"{seed}", precision, seed) for seed in self.seeds
                )
                yield Measurement(f"Dice, trained in {precision}, {len(found)} seeds", found, "")
                means.append(mean(found))
                ranges.append(max(found) - min(found))
        difference, most = abs(means[0] - means[1]), round(max(ranges), 4)
        yield Measurement(
            "difference in mean Dice (at most the range over seeds)", (difference,), "", most=most
        )

    def _dice(self, folder: Path, precision: str, seed: int) -> float:
        """Train, predict the test cases and return the Dice pooled over their voxels."""
        sizes = {name: value for name, value in vars(self).items() if name != "seeds"}
        write_text(folder / "recipe.yaml", RECIPE.format(precision=precision, seed=seed, **sizes))
        run = in_new_process(train, load_recipe(folder / "recipe.yaml"), folder / "run", accept=[])
        both = found = true = 0
        for case in held_out_cases(run):
            prediction = run.predict(case)
            mask, truth = prediction.masks[CLASS], read_case_mask(case, CLASS, prediction.mask.grid)
            both, found, true = both + (mask & truth).sum(), found + mask.sum(), true + truth.sum()
        return float(2 * both / (found + true))
