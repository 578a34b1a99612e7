"""Results of a part are not used any more after its code has changed."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wsseg as public
from wsseg.components.registry import Offer, registry
from wsseg.inference.checkpoint import fingerprint_of
from wsseg.inference.folders import RunFolder

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
