"""Importing wsseg is cheap: modules that need torch are imported on first use."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "statement", ["import wsseg", "import wsseg.cli", "from wsseg import InputError, WorkError"]
)
def test_importing_wsseg_does_not_import_torch(statement: str) -> None:
    check = f"{statement}\nimport sys\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
