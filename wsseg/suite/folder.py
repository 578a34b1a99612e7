"""The files of a suite."""

from dataclasses import dataclass
from pathlib import Path

from wsseg.inference.folders import FOLD, REPORT, SEED, STAGES, RunFolder, StageFolder

ROWS, DEFINITION, TUNING = "rows.csv", "suite.yaml", "tuning"
RESERVED_NAMES = (STAGES, ROWS, REPORT, DEFINITION, TUNING)  # no method may have these names


@dataclass(frozen=True)
class TuningFolder:
    """The files written while the settings of one job are chosen."""

    path: Path

    @property
    def trials(self) -> Path:
        """`trials.journal`: Optuna's record of each trial."""
        return self.path / "trials.journal"

    @property
    def chosen(self) -> Path:
        """`chosen.json`: the chosen settings, and how they were chosen."""
        return self.path / "chosen.json"

    @property
    def code(self) -> Path:
        """`code.txt`: the fingerprint of the code that runs the trials."""
        return self.path / "code.txt"

    @property
    def run(self) -> RunFolder:
        """`run/`: the stages of the last trial."""
        return RunFolder(self.path / "run")


@dataclass(frozen=True)
class SuiteFolder:
    """The files of a suite: its definition, its results, and a folder for each run."""

    path: Path

    @property
    def definition(self) -> Path:
        """`suite.yaml`, including the values of the file that it extends."""
        return self.path / DEFINITION

    @property
    def rows(self) -> Path:
        """`rows.csv`: the scores of all finished jobs."""
        return self.path / ROWS

    @property
    def report(self) -> Path:
        """`report.html`."""
        return self.path / REPORT

    @property
    def stages(self) -> Path:
        """`stages/`: finished stages by fingerprint, shared by all runs."""
        return self.path / STAGES

    def shared_stage(self, fingerprint: str) -> StageFolder:
        """Return the folder of a shared stage."""
        return StageFolder(self.stages / fingerprint)

    def tuning(self, path: Path) -> TuningFolder:
        """Return the folder in which a run's settings are chosen, given its `run_path`."""
        return TuningFolder(self.path / TUNING / path)

    def run(self, path: Path) -> RunFolder:
        """Return the folder of a run, given its `run_path`."""
        return RunFolder(self.path / path)


def run_path(method: str, seed: int, fold: int | None) -> Path:
    """Return the path of a run, relative to the suite's folder."""
    path = Path(method.replace(" ", ","), f"{SEED}{seed}")
    return path if fold is None else path / f"{FOLD}{fold}"
