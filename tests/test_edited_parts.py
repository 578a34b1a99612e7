"""Results of a part are not used any more after its code has changed."""

import importlib
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import wsseg as public
from wsseg.components.registry import Offer, registry
from wsseg.core.code_digest import statement_digests
from wsseg.errors import InputError
from wsseg.inference.checkpoint import fingerprint_of
from wsseg.inference.folders import RunFolder
from wsseg.runtime.console import SilentDisplay
from wsseg.runtime.executors import ThisProcess
from wsseg.suite.definition import load_suite, plan
from wsseg.suite.dry_run import DurationEstimate, plan_lines
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.runner import SuiteContext, run_suite

PARTS = """
import numpy as np
from wsseg import Prior, Region

class Part(Region):
    def __call__(self, case, volume):
        return np.full(volume.shape, True)

class Half(Prior):
    def __call__(self, batch):
        return batch.support * 1.0
"""
RECIPE = """
cohort: {{use: table, path: {cohort}}}
regions: {{part: {{use: edited}}}}
input: {{slices: 1, size: 32, fill: -1024}}
stages:
  infection: {{learn: nothing, classes: [infection], region: part, prior: {{use: edited}}}}
"""


def load_parts(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the parts, and offer them as a new process would."""
    (folder / "edited_parts.py").write_text(source)
    sys.modules.pop("edited_parts", None)
    importlib.invalidate_caches()
    module: Any = importlib.import_module("edited_parts")
    for kind, part in ((public.Region, module.Part), (public.Prior, module.Half)):
        offer = Offer("edited", kind, part, "edited_parts", "edited 1.0")
        monkeypatch.setitem(registry().offers, (kind, "edited"), offer)
    monkeypatch.setattr("wsseg.suite.job_fingerprint._code_of_parts", cache(statement_digests))


@pytest.mark.parametrize(
    ("old", "new"),
    [("volume.shape, True", "volume.shape, False"), ("* 1.0", "* 0.0")],
    ids=["region", "prior"],
)
def test_an_edited_part_of_the_same_version_gives_new_masks_and_a_new_fingerprint(
    old: str, new: str, toy_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(cohort=toy_cohort))
    case = replace(public.Table(path=toy_cohort).cases()[0], name="scan")
    pixels, fingerprints = [], []
    for name, source in (("a", PARTS), ("b", PARTS.replace(old, new)), ("c", PARTS)):
        load_parts(tmp_path, source, monkeypatch)
        run = public.train(public.load_recipe(path), tmp_path / name)
        pixels.append(int(run.predict(case).masks["infection"].sum()))
        fingerprints.append(fingerprint_of(RunFolder(tmp_path / name).stage("infection")))
    assert pixels == [40 * 36 * 5, 0, 40 * 36 * 5]
    assert fingerprints[0] == fingerprints[2]
    assert fingerprints[0] != fingerprints[1]


def test_a_suite_with_jobs_of_older_code_is_not_continued(
    toy_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(cohort=toy_cohort))
    (tmp_path / "suite.yaml").write_text("recipes: {mine: recipe.yaml}\n")
    folder = SuiteFolder(tmp_path / "out")

    def run(source: str) -> str:
        load_parts(tmp_path, source, monkeypatch)
        loaded = load_suite(tmp_path / "suite.yaml")
        context = SuiteContext(folder, ThisProcess(), SilentDisplay())
        assert not run_suite(plan(loaded, tmp_path), "", context)
        return folder.rows.read_text()

    rows = run(PARTS)
    assert run(PARTS) == rows
    with pytest.raises(
        InputError, match=r"seed-0: this run was made with other code .*delete that folder"
    ):
        run(PARTS.replace("volume.shape, True", "volume.shape, False"))
    assert folder.rows.read_text() == rows
    jobs = plan(load_suite(tmp_path / "suite.yaml"), tmp_path)
    lines = list(plan_lines(jobs, folder, DurationEstimate(1, {})))
    assert lines[0] == "1 job = 1 method × 1 seed; 0 done, 0 to do, 1 refused"
    assert "mine/seed-0  refused: " in lines[1]
    assert "seed-0: this run was made with other code of wsseg or of a plugin than is" in lines[1]
