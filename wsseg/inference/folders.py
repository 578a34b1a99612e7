"""The files of a run, of a trained stage and of a set of predictions.

No other module contains the names of these files.
"""

from dataclasses import dataclass
from pathlib import Path

AGREEMENT = "agreement"
DICOM_SEG = "dicom-seg"
FAILURE = "failed.txt"
OVERLAYS = "overlays"
PICTURES = "pictures"
PROBABILITIES = "probabilities"
REPORT = "report.html"
SCORES = "scores.csv"
STAGES = "stages"
SEED, FOLD = "seed-", "fold-"  # starts of the names of a method's folders
VIEWS = "views"


@dataclass(frozen=True)
class StageFolder:
    """The files of a stage that is trained or being trained."""

    path: Path

    @property
    def record(self) -> Path:
        """`stage.json`, written last: its presence means that the stage is finished."""
        return self.path / "stage.json"

    @property
    def weights(self) -> Path:
        """`weights.safetensors`; a stage without a network has none."""
        return self.path / "weights.safetensors"

    @property
    def target_snapshots(self) -> Path:
        """`targets.safetensors`: targets of EM after some epochs."""
        return self.path / "targets.safetensors"

    @property
    def unfinished(self) -> Path:
        """`last/`: a folder that is deleted when the stage is finished."""
        return self.path / "last"

    @property
    def state(self) -> Path:
        """`last/state.safetensors`: what is needed to resume training."""
        return self.unfinished / "state.safetensors"


@dataclass(frozen=True)
class PredictionFolder:
    """The files that `wsseg predict` writes: masks, and a table of scores."""

    path: Path

    def mask(self, case: str, suffix: str) -> Path:
        """Return the path of a case's mask, such as `<case>.nii.gz`."""
        return self.path / f"{case}{suffix}"

    def overlay(self, case: str) -> Path:
        """Return the path of a picture of a case with outlines of its mask."""
        return self.path / OVERLAYS / f"{case}.png"

    def picture(self, case: str) -> Path:
        """Return the path of a case's contact sheet, with slices through its findings."""
        return self.path / PICTURES / f"{case}.png"

    def probability(self, case: str, label: str, suffix: str) -> Path:
        """Return the path of the probability of a class in a case."""
        return self.path / PROBABILITIES / f"{case}.{label}{suffix}"

    def agreement(self, case: str, label: str, suffix: str) -> Path:
        """Return the path of the share of an ensemble's members that predict a class."""
        return self.path / AGREEMENT / f"{case}.{label}{suffix}"

    def segmentation(self, case: str) -> Path:
        """Return the path of a case's mask as a DICOM segmentation object."""
        return self.path / DICOM_SEG / f"{case}.dcm"

    @property
    def scores(self) -> Path:
        """`scores.csv`: a row for each case."""
        return self.path / SCORES

    @property
    def record(self) -> Path:
        """`predicted.jsonl`: for each mask, its row and a digest of its run and files."""
        return self.path / "predicted.jsonl"


@dataclass(frozen=True)
class RunFolder:
    """The files of a run: a recipe, its trained stages, and their evaluation."""

    path: Path

    @property
    def recipe(self) -> Path:
        """`recipe.yaml`, with every default written out."""
        return self.path / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        """`manifest.json`: the files that training read, and the cases held out for testing."""
        return self.path / "manifest.json"

    @property
    def calibration(self) -> Path:
        """`calibration.json`: the temperature of each stage, fitted on validation cases."""
        return self.path / "calibration.json"

    @property
    def reliability(self) -> Path:
        """`reliability.json`: for each probability, how often test pixels have the class."""
        return self.path / "reliability.json"

    @property
    def log(self) -> Path:
        """`log.jsonl`: a line for each epoch and each warning."""
        return self.path / "log.jsonl"

    @property
    def stages(self) -> Path:
        """`stages/`: a folder for each stage."""
        return self.path / STAGES

    def stage(self, name: str) -> StageFolder:
        """Return the folder of a stage."""
        return StageFolder(self.stages / name)

    @property
    def predictions(self) -> PredictionFolder:
        """`predictions/`: the masks of test cases."""
        return PredictionFolder(self.path / "predictions")

    @property
    def scores(self) -> Path:
        """`scores.csv`: a row for each test case."""
        return self.path / SCORES

    @property
    def report(self) -> Path:
        """`report.html`."""
        return self.path / REPORT

    def view(self, case: str) -> Path:
        """Return the path of the page that shows a case."""
        return self.path / VIEWS / f"{case}.html"

    @property
    def times(self) -> Path:
        """`times.json`: the seconds that a suite's job took."""
        return self.path / "times.json"

    @property
    def packed(self) -> Path:
        """`wsseg.json`: what a packed run contains; only packed runs have it."""
        return self.path / "wsseg.json"

    @property
    def card(self) -> Path:
        """`README.md`: the model card of a packed run."""
        return self.path / "README.md"

    @property
    def failure(self) -> Path:
        """`failed.txt`: why the last attempt of a suite's job failed."""
        return self.path / FAILURE


def runs_of_method(folder: Path) -> list[RunFolder]:
    """Return the runs of a suite's method, by seed and fold; empty for any other folder."""
    seeds = _numbered(folder, SEED)
    return [RunFolder(run) for seed in seeds for run in _numbered(seed, FOLD) or [seed]]


def methods_below(folder: Path) -> list[Path]:
    """Return the folders of a suite that hold the runs of a method."""
    below = sorted(folder.iterdir()) if folder.is_dir() else []
    return [each for each in below if runs_of_method(each)]


def _numbered(folder: Path, start: str) -> list[Path]:
    """Return the folders `<start><number>` in a folder, by number."""
    found = {
        int(each.name.removeprefix(start)): each
        for each in folder.glob(f"{start}*")
        if each.is_dir() and each.name.removeprefix(start).isdecimal()
    }
    return [found[number] for number in sorted(found)]


def failure_files(out: Path) -> list[Path]:
    """Return the `failed.txt` of every run of a suite's folder."""
    return sorted(out.glob(f"**/{FAILURE}"))
