"""The distributions can be built and work outside the repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
CHECK = """
import json, wsseg, wsseg_covid
from wsseg.components.registry import registry
from wsseg.report.page import Page, write_page
recipe = wsseg.load_recipe("covid/phi2")
print(json.dumps({
    "homes": [wsseg.__file__, wsseg_covid.__file__],
    "failures": [str(failure) for failure in registry().failures],
    "classes": recipe.classes,
}))
"""


@pytest.mark.slow
def test_the_wheels_work_outside_the_repository(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    folders = ("", "plugins/wsseg-ct", "recipes/covid")
    projects = [str(REPOSITORY / folder) for folder in folders]
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    subprocess.run([*pip, "wheel", *offline, "--wheel-dir", str(wheels), *projects], check=True)
    built = sorted(wheels.glob("*.whl"))
    assert [path.name.split("-")[0] for path in built] == ["wsseg", "wsseg_covid", "wsseg_ct"]
    target = ["--target", str(site), *map(str, built)]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", *target], check=True)
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert all(home.startswith(str(site)) for home in found["homes"])
    assert found["classes"] == ["infection", "consolidation"]
    assert (site / "wsseg" / "py.typed").exists()
    assert (site / "wsseg" / "report" / "page.html.j2").exists()
    assert (site / "wsseg_covid" / "recipes" / "phi2.yaml").exists()
