"""Fixtures for all tests: the command line, a cohort of tiny scans, and a run trained on it."""

import io
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import nibabel as nib
import numpy as np
import pytest
from hypothesis import settings

from tests.undrawn_figures import leave_figures_undrawn
from wsseg.cli import main

settings.register_profile("wsseg", deadline=None)  # a busy machine is no failure
settings.load_profile("wsseg")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"

TOY_RECIPE = """\
cohort: {{use: table, path: {cohort}}}
input: {{slices: 3, size: 32, fill: -1024, offset: -1000, scale: 500}}
stages:
  infection:
    learn: masks
    classes: [infection]
    backbone: {{use: additive-unet, width: 4}}
    loss: {{use: smooth-dice}}
    epochs: 3
    batch_size: 4
    optimizer: {{use: adam, lr: 1.0e-2}}
    augment: {{rotate_deg: 90, translate: 0.1, zoom: [0.9, 1.1], flip: [left-right]}}
  consolidation:
    learn: em
    classes: [consolidation]
    start: infection
    region: infection
    prior: {{use: hu-sigmoid, midpoint_hu: -100, width_hu: 100}}
    estep: {{use: hard}}
    loss: {{use: batch-dice}}
    epochs: 2
    batch_size: 4
    optimizer: {{use: adam, lr: 1.0e-3}}
    sampling: balanced
scores:
  share: {{use: share, of: consolidation, within: infection}}
"""

LEARNT = (  # settings with which the discs and their cores are learnt well, in seconds
    "input.thick={thinner_than_mm: 4, to_mm: 5}",
    "stages.infection.epochs=12",
    "stages.infection.optimizer.lr={start: 1.0e-2, end: 1.0e-4}",
    "stages.consolidation.epochs=12",
    "stages.consolidation.optimizer.lr={start: 1.0e-2, end: 1.0e-4}",
    "stages.consolidation.prior={use: threshold, hu: -250}",
)


@dataclass(frozen=True)
class Ended:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The only error message, which has at most three lines and no traceback."""
        before, found, error = self.err.partition("error: ")
        assert found, self.err
        assert "error: " not in error, self.err
        assert "Traceback" not in before + error, self.err
        assert len(error.splitlines()) <= 3, error
        return error.strip()

    def refused(self, *words: str) -> None:
        """Assert that the command refused its input with one error that contains all `words`."""
        assert self.code == 2, self.err
        for word in words:
            assert word in self.error, self.error


class Wsseg(Protocol):
    """The command `wsseg`, run in this process to save the time of its imports."""

    def __call__(self, *words: object) -> Ended: ...


@pytest.fixture(scope="session")
def wsseg() -> Wsseg:
    """Return a function that runs a command as the script `wsseg` does."""

    def run(*words: object) -> Ended:
        out, err, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["wsseg", *map(str, words)])
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        return Ended(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt, as on a terminal: a shell in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Use a cache folder of the test session in place of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("WSSEG_CACHE", str(folder))
        yield folder


@pytest.fixture
def undrawn_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages have empty pictures."""
    leave_figures_undrawn(monkeypatch)


@pytest.fixture(scope="session")
def toy_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write eight scans of (40, 36, 5) voxels and return their cohort.csv.

    Each has a disc of -500 HU, the infection; every second disc has a core of 0 HU, consolidation.
    """
    folder = tmp_path_factory.mktemp("toy")
    lines = ["case,patient,split,image,mask.infection,mask.consolidation,tag.consolidation"]
    for number in range(8):
        noise = np.random.default_rng(number).normal(0, 30, (40, 36, 5))
        x, y = np.ogrid[:40, :36]
        distance = np.hypot(x - 18 - number % 3, y - 17)[..., None] + np.zeros(5)
        infection, core = distance < 11, (distance < 5) & (number % 2 == 0)
        image = np.where(core, 0, np.where(infection, -500, -900)) + noise
        arrays = {"image": image, "infection": infection, "consolidation": core}
        for name, array in arrays.items():
            affine = np.diag([2.0, 2.0, 5.0, 1.0])
            file = nib.Nifti1Image(np.rint(array).astype(np.int16), affine)
            nib.save(file, folder / f"{number}-{name}.nii.gz")
        split = "test" if number >= 6 else "train"
        names = ",".join(f"{number}-{name}.nii.gz" for name in arrays)
        lines.append(f"case-{number},patient-{number},{split},{names},{int(number % 2 == 0)}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder / "cohort.csv"


@pytest.fixture(scope="session")
def toy_text(toy_cohort: Path) -> str:
    """Return the text of a recipe for the toy cohort that trains in seconds."""
    return TOY_RECIPE.format(cohort=toy_cohort)


@pytest.fixture
def toy_recipe(toy_text: str, tmp_path: Path) -> Path:
    """Write the recipe to a file in the folder of the test."""
    path = tmp_path / "toy.yaml"
    path.write_text(toy_text)
    return path


@pytest.fixture(scope="session")
def trained(wsseg: Wsseg, toy_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run on the toy cohort; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "toy.yaml").write_text(toy_text)
    changes = [word for each in LEARNT for word in ("--set", each)]
    ended = wsseg("train", folder / "toy.yaml", "--out", folder / "run", *changes)
    assert ended.code == 0, ended.err
    return folder / "run"


@pytest.fixture(scope="session")
def validated(trained: Path, toy_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the run, with a cohort of its own, that lists cases 4 and 5 for validation.

    It has also learnt from them, which does not matter here. Cases 6 and 7 are the test cases.
    """
    folder = tmp_path_factory.mktemp("validated")
    scans, run = folder / "scans", folder / "run"
    shutil.copytree(toy_cohort.parent, scans)
    shutil.copytree(trained, run)
    table, recipe, manifest = (
        scans / toy_cohort.name,
        run / "recipe.yaml",
        run / "manifest.json",
    )
    text = table.read_text()
    for number in (4, 5):
        text = text.replace(f"patient-{number},train", f"patient-{number},val")
    table.write_text(text)
    recipe.write_text(recipe.read_text().replace(str(toy_cohort), str(table)))
    listed = json.loads(manifest.read_text())
    names = [f"case-{number}" for number in range(6)]
    manifest.write_text(json.dumps(listed | {"train": names[:4], "validation": names[4:]}))
    return run
