"""A cohort of tiny CT scans, and what `wsseg data check` finds in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tests.conftest import Wsseg

AFFINE = np.diag([-4.0, -4.0, 5.0, 1.0])
SHAPE = (24, 20, 6)

Array = NDArray[Any]


@dataclass(frozen=True)
class Hospital:
    """Seven CT scans in a folder, `a` to `g`; `f` has no lesion, and `g` is a test case."""

    folder: Path

    @property
    def table(self) -> Path:
        return self.folder / "cohort.csv"

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.nii.gz"

    def voxels(self, name: str) -> Array:
        return np.asarray(nib.Nifti1Image.from_filename(self.file(name)).dataobj)

    def save(self, name: str, voxels: Array, affine: Array = AFFINE) -> None:
        nib.save(nib.Nifti1Image(voxels, affine), self.file(name))

    def change(self, old: str, new: str) -> None:
        text = self.table.read_text()
        assert old in text
        self.table.write_text(text.replace(old, new, 1))


def write_hospital(folder: Path) -> Hospital:
    """Write the scans, their masks and their cohort.csv into a new folder."""
    made = Hospital(folder)
    made.folder.mkdir()
    lines = ["case,patient,split,image,mask.lung,mask.lesion,tag.lesion"]
    for number, name in enumerate("abcdefg"):
        voxels = np.random.default_rng(number).normal(0, 60, SHAPE)
        lung, lesion = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
        lung[4:20, 4:16, 1:] = 1
        lesion[8:12, 6:12, 2:4] = name != "f"
        voxels += np.where(lung > lesion, -850, 0)
        made.save(f"{name}", np.rint(voxels).astype(np.int16))
        made.save(f"{name}-lung", lung)
        made.save(f"{name}-lesion", lesion)
        split, tag = "test" if name == "g" else "train", int(name != "f")
        files = f"{name}.nii.gz,{name}-lung.nii.gz,{name}-lesion.nii.gz"
        lines.append(f"{name},patient-{name},{split},{files},{tag}")
    made.table.write_text("\n".join(lines) + "\n")
    return made


def found(wsseg: "Wsseg", hospital: Hospital, *words: object) -> list[dict[str, str]]:
    """Return the findings of the command, whose exit code is 1 if one of them is an error."""
    ended = wsseg("data", "check", hospital.table, "--unit", "HU", "--json", *words)
    findings: list[dict[str, str]] = json.loads(ended.out)["findings"]
    assert ended.code == int(any(each["severity"] == "error" for each in findings)), ended.err
    assert all(each["what"] and each["remedy"] for each in findings)
    return findings


def short(findings: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(each["severity"], each["name"], each["case"]) for each in findings]
