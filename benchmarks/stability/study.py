"""The runs of the benchmark: recipes with each seed, precision and number of threads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

from wsseg.components.metrics import Dice, Rates
from wsseg.config.recipe_files import load_recipe
from wsseg.suite.definition import Job
from wsseg.suite.job_fingerprint import job_fingerprint

METRICS = {"dice": Dice(), "rates": Rates()}
RECIPES = {"em": "covid/demo-em", "phi2": "covid/demo-phi2"}


class RunKey(NamedTuple):
    """What distinguishes the runs of the benchmark."""

    method: str
    seed: int
    precision: str
    threads: int


@dataclass(frozen=True)
class PlannedRun:
    """A run of the benchmark, as a job of a suite that computes with a number of threads."""

    key: RunKey
    job: Job


@dataclass(frozen=True)
class Study:
    """The recipes that are compared, and what varies between the runs of each."""

    recipes: Mapping[str, str | Path] = field(default_factory=lambda: dict(RECIPES))  # by method
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    precisions: tuple[str, ...] = ("float32", "bfloat16")
    threads: tuple[int, ...] = (1, 2)

    def run_keys(self) -> Iterator[RunKey]:
        """Yield the runs: seed by seed, so that an unfinished table has the same of each method.

        Neighbours share no stage, since two processes that need it at once would both train it.
        """
        for precision, seed, method, threads in product(
            self.precisions, self.seeds, self.recipes, self.threads
        ):
            yield RunKey(method, seed, precision, threads)

    def planned(self) -> list[PlannedRun]:
        """Return the runs, in the order of `run_keys`, with their jobs.

        Raises:
            InputError: A recipe is invalid.
        """
        return [PlannedRun(key, self._job(key)) for key in self.run_keys()]

    def _job(self, key: RunKey) -> Job:
        changes = [f"seed={key.seed}", f"precision={key.precision}"]
        recipe = load_recipe(self.recipes[key.method], changes)
        recipe = recipe.model_copy(update={"metrics": METRICS})
        job = Job(f"{key.method} {key.precision}", recipe)
        return Job(job.method, recipe, fingerprint=job_fingerprint(job))
