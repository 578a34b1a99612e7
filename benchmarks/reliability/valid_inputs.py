"""A folder of small valid files of every kind that wsseg reads; copies of it are damaged."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from benchmarks.reliability.commands import Command, words

TIMEOUT_S = 120.0
SHAPE = (20, 20, 3)  # voxels of a scan
SPACING_MM = (2.0, 2.0, 5.0)
INFECTION, CORE = 7, 3  # radii, in voxels
TRAINING = 2  # training cases, and the same number of test cases

RECIPE = """\
cohort: {use: table, path: cohort.csv}
input: {slices: 3, size: 16, fill: -1024, offset: -1000, scale: 500}
regions: {all: {use: everything}}
stages:
  infection:
    learn: masks
    classes: [infection]
    region: all
    backbone: {use: additive-unet, width: 2}
    loss: {use: smooth-dice}
    epochs: 2
    batch_size: 2
    optimizer: {use: adam, lr: [[1, 1.0e-2], [2, 1.0e-3]]}
    augment: {rotate_deg: 90, flip: [left-right]}
  consolidation:
    learn: em
    classes: [consolidation]
    start: infection
    region: infection
    prior: {use: hu-sigmoid, midpoint_hu: -100, width_hu: 100}
    estep: {use: hard}
    loss: {use: batch-dice}
    epochs: 2
    batch_size: 2
    optimizer: {use: adamw, lr: {start: 1.0e-3}, weight_decay: 1.0e-4}
    sampling: balanced
scores:
  share: {use: share, of: consolidation, within: infection}
"""
SUITE = """\
recipes: {full: recipe.yaml, wide: {extends: recipe.yaml, input: {size: 8}}}
set: {stages.infection.epochs: 1}
matrix: {stages.consolidation.prior.midpoint_hu: [-200, -100]}
seeds: [0, 1]
folds: 2
compare: {baseline: wide midpoint_hu=-200}
"""
REPORTS = """\
patient,report,tag.consolidation
A,"Patchy consolidation in the left lower lobe. No effusion.",1
B,"No consolidation. Clear lungs, unchanged.",0
C,"Cannot exclude early consolidation; correlate clinically.",
D,"INDICATION: ?consolidation. FINDINGS: The consolidation seen in May is no longer visualized.",0
E,"Consolidation [x] Effusion [ ] Nodules: none",1
F,"1) No PE 2) RLL consolidation, which has not resolved since 12/05/2024.",1
G,"Keine Konsolidierung, kein Erguss.",
"""
EXCEL = """\
Pat-ID;Erguss;Größe
p0;ja;1,5
p1;nein;
p2;x;"2,25"
p3;;0,0
Müller;1,0;3
"""


def write_valid_inputs(folder: Path) -> None:
    """Write the files, a finished training run, and an interrupted one."""
    write_cohort(folder)
    _write_series(folder / "series")
    _write_export(folder / "export")
    _write_pictures(folder)
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "suite.yaml").write_text(SUITE)
    (folder / "reports.csv").write_text(REPORTS)
    (folder / "excel.csv").write_text(EXCEL, encoding="cp1252")
    one_epoch = ("--set", "stages.consolidation.epochs=1")
    _run(folder, "train", "recipe.yaml", "--out", "run", *one_epoch)
    _run(folder, "score", "run")
    _interrupt(folder, folder / "half")
    _run(folder, "predict", "run", "scan.nii.gz", "--out", "masks")
    for name in ("masks", "output.txt"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_cohort(folder: Path) -> None:
    """Write four scans with masks and tags, and their tables, into a new folder."""
    folder.mkdir(parents=True)
    lines = ["case,patient,site,split,image,mask.infection,tag.consolidation"]
    for number in range(2 * TRAINING):
        x, y = np.ogrid[: SHAPE[0], : SHAPE[1]]
        disc = np.hypot(x - 9 - number % 3, y - 10)[..., None] + np.zeros(SHAPE[2])
        noise = np.random.default_rng(number).normal(0, 30, SHAPE)
        core = (disc < CORE) & (number % 2 == 0)
        hu = np.where(core, 0, np.where(disc < INFECTION, -500, -900)) + noise
        _save(folder / f"{number}.nii.gz", np.rint(hu).astype(np.int16))
        labels = (disc < INFECTION).astype(np.uint8)
        nearly = labels * np.float32(0.9999999)  # as resampling of masks leaves them
        _save(folder / f"{number}-mask.nii.gz", nearly if number == 1 else labels)
        split = "test" if number >= TRAINING else "train"
        tag = int(number % 2 == 0)
        lines.append(f"c{number},p{number},a,{split},{number}.nii.gz,{number}-mask.nii.gz,{tag}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    (folder / "slices.csv").write_text("case,slice,tag.consolidation\nc0,0,0\nc0,1,1\nc1,2,\n")
    _save(folder / "scan.nii", np.rint(hu).astype(np.int16))
    _save(folder / "scan.nii.gz", np.rint(hu).astype(np.float32))
    _save(folder / "flat.nii", np.rint(hu[..., 0]).astype(np.int16))
    sheared = np.diag([*SPACING_MM, 1])
    sheared[1, 2] = 1.3  # a gantry that is tilted by 15 degrees
    nib.save(nib.Nifti2Image(np.rint(hu).astype(np.int16), sheared), folder / "sheared.nii")


def _save(path: Path, array: NDArray[np.int16] | NDArray[np.uint8] | NDArray[np.float32]) -> None:
    nib.save(nib.Nifti1Image(array, np.diag([*SPACING_MM, 1])), path)


def _write_series(folder: Path, uid: str = "1.2.3.4", slices: int = SHAPE[2]) -> None:
    """Write a scan as DICOM with explicit value types, so that these are damaged as well."""
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    folder.mkdir()
    for index in range(slices):
        tags = pydicom.Dataset()
        tags.SOPClassUID, tags.SOPInstanceUID = CTImageStorage, f"{uid}.{index + 1}"
        tags.SeriesInstanceUID = uid
        tags.PatientName = "NOBODY^AT ALL"
        tags.Rows, tags.Columns = SHAPE[:2]
        tags.SamplesPerPixel, tags.PhotometricInterpretation = 1, "MONOCHROME2"
        tags.BitsAllocated = tags.BitsStored = 16
        tags.HighBit, tags.PixelRepresentation = 15, 1
        tags.PixelSpacing = list(SPACING_MM[:2])
        tags.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        tags.ImagePositionPatient = [0, 0, SPACING_MM[2] * index]
        tags.RescaleSlope, tags.RescaleIntercept = 1, -1024
        pixels = np.random.default_rng(index).integers(0, 1500, SHAPE[:2])
        tags.PixelData = pixels.astype(np.int16).tobytes()
        tags.file_meta = pydicom.dataset.FileMetaDataset()
        tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(folder / f"{index}.dcm", tags, enforce_file_format=True)


def _write_export(folder: Path) -> None:
    """Write a series as a hospital exports it: with a scout and files that are not images."""
    from pydicom.fileset import FileSet

    study = folder / "patient" / "study"
    study.mkdir(parents=True)
    _write_series(study / "ct")
    _write_series(study / "scout", uid="1.2.3.5", slices=1)
    FileSet().write(folder)  # an empty DICOMDIR
    (study / "ct" / "._0.dcm").write_bytes(b"\0\5\x16\7" + bytes(50))
    (study / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")


def _write_pictures(folder: Path) -> None:
    """Write a grey picture of the size of a slice as PNG and as TIFF."""
    from PIL import Image

    grey = np.random.default_rng(0).integers(0, 256, SHAPE[:2]).astype(np.uint8)
    for name in ("picture.png", "picture.tif"):
        Image.fromarray(grey).save(folder / name)


def _run(folder: Path, *parts: object) -> None:
    result = Command(words(*parts), folder, environment=own_cache(folder)).run(TIMEOUT_S)
    if result.code != 0:
        raise RuntimeError(f"{parts} has the exit code {result.code}: {result.output}")


def _interrupt(folder: Path, out: Path) -> None:
    """Train until the first state is saved."""
    parts = ("train", "recipe.yaml", "--out", out.name, "--save-every", 1)
    command = Command(words(*parts), folder, environment=own_cache(folder))
    process = command.start()
    while process.is_alive() and not list(out.glob("stages/*/last/state.safetensors")):
        process.join(0.001)
    process.kill()
    process.join()
    if not list(out.glob("stages/*/last/state.safetensors")):
        raise RuntimeError(f"{out}: no state was saved: {command.output()}")
    (out / ".lock").unlink()


def own_cache(folder: Path) -> dict[str, str]:
    """Return the environment of commands with a cache in `folder`."""
    return {"WSSEG_CACHE": str(folder / "cache")}
