"""What a reader has who follows a page: scans, and an environment in which wsseg is installed."""

import os
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMANDS = {"pip": "pip", "pytest": "pytest -p no:cacheprovider", "wsseg": "wsseg"}


@dataclass(frozen=True)
class Reader:
    """A folder to work in, and the scripts of an environment without network."""

    folder: Path
    scripts: Path

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a shell does, and fail if it fails."""
        environment = os.environ | {
            "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads 0 as "without isolation"
            "PIP_QUIET": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Return a reader with the packages of this environment and room for their own."""
    folder, environment = tmp_path / "reader", tmp_path / "environment"
    folder.mkdir()
    venv.create(environment)
    (site,) = environment.glob("lib/python*/site-packages")
    installed = sysconfig.get_path("purelib")
    (site / "installed.pth").write_text(f"import site; site.addsitedir({installed!r})\n")
    for name, module in COMMANDS.items():
        script = environment / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{environment}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    return Reader(folder, environment / "bin")


@pytest.fixture(scope="session")
def phantom_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with scans a to d in scans/ and their infections in masks/."""
    from wsseg_covid.phantom.cohort import LungPhantom

    folder = tmp_path_factory.mktemp("phantom")
    (folder / "scans").mkdir()
    (folder / "masks").mkdir()
    for name, case in zip("abcd", LungPhantom(cases=4, size=64, slices=12).cases(), strict=True):
        shutil.copy(case.image, folder / "scans" / f"{name}.nii.gz")
        shutil.copy(case.masks["infection"], folder / "masks" / f"{name}-infection.nii.gz")
    return folder
