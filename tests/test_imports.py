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


def test_loading_all_plugins_imports_no_library_of_networks() -> None:
    check = (
        "from wsseg.components.registry import registry\n"
        "registry()\n"
        "import sys\n"
        "slow = {'timm', 'torchvision', 'segmentation_models_pytorch', 'monai', 'matplotlib'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
