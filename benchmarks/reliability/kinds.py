"""The kinds of files that wsseg reads, with their changes and the commands that read them."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.reliability.mutations import BYTES, TEXT, Change, changes_in_gzip, changes_in_header

NIFTI_HEADER, NIFTI2_HEADER = 352, 544  # bytes


@dataclass(frozen=True)
class Kind:
    """A kind of input. Paths are in the folder of valid files."""

    file: str
    changes: tuple[Change, ...]
    words: tuple[str, ...]
    writes: tuple[str, ...] = ()  # paths that the command may write, in addition to its cache
    codes: tuple[int, ...] = (2,)  # exit codes of a clear error


PREDICT_OUT = ("--out", "out")
CLASS = "consolidation=consolidation,consolidated"
COLUMNS = "Pat-ID=patient,Erguss=tag.effusion"
KINDS: Mapping[str, Kind] = {
    "recipe": Kind("recipe.yaml", TEXT, ("recipe", "check", "recipe.yaml")),
    "suite": Kind(
        "suite.yaml", TEXT, ("bench", "run", "suite.yaml", *PREDICT_OUT, "--dry-run"), ("out",)
    ),
    "cohort.csv": Kind("cohort.csv", TEXT, ("data", "prepare", "recipe.yaml")),
    "slices.csv": Kind("slices.csv", TEXT, ("data", "prepare", "recipe.yaml")),
    "reports": Kind(
        "reports.csv",
        TEXT,
        ("tags-from-reports", "reports.csv", "--out", "out.csv", "--class", CLASS),
        ("out.csv",),
    ),
    "table of Excel": Kind(
        "excel.csv",
        TEXT,
        ("data", "join", "cohort.csv", "excel.csv", "--out", "joined.csv", "--columns", COLUMNS),
        ("joined.csv",),
    ),
    "NIfTI, header": Kind(
        "scan.nii",
        changes_in_header(NIFTI_HEADER),
        ("predict", "run", "scan.nii", *PREDICT_OUT),
        ("out",),
    ),
    "NIfTI, compressed": Kind(
        "scan.nii.gz", BYTES, ("predict", "run", "scan.nii.gz", *PREDICT_OUT), ("out",)
    ),
    "NIfTI, voxels": Kind(
        "scan.nii.gz",
        changes_in_gzip(BYTES),
        ("predict", "run", "scan.nii.gz", *PREDICT_OUT),
        ("out",),
    ),
    "NIfTI, mask": Kind(
        "0-mask.nii.gz",
        changes_in_gzip((*BYTES, *changes_in_header(NIFTI_HEADER))),
        ("data", "prepare", "recipe.yaml"),
    ),
    "NIfTI, labels of 0.9999999": Kind(
        "1-mask.nii.gz", changes_in_gzip(BYTES), ("data", "prepare", "recipe.yaml")
    ),
    "NIfTI-2, sheared": Kind(
        "sheared.nii",
        changes_in_header(NIFTI2_HEADER),
        ("predict", "run", "sheared.nii", *PREDICT_OUT),
        ("out",),
    ),
    "NIfTI, 2-D": Kind(
        "flat.nii",
        changes_in_header(NIFTI_HEADER),
        ("predict", "run", "flat.nii", *PREDICT_OUT),
        ("out",),
    ),
    "PNG": Kind("picture.png", BYTES, ("predict", "run", "picture.png", *PREDICT_OUT), ("out",)),
    "TIFF": Kind("picture.tif", BYTES, ("predict", "run", "picture.tif", *PREDICT_OUT), ("out",)),
    "DICOM export": Kind(
        "export/patient/study/scout/0.dcm",
        BYTES,
        ("predict", "run", "export", *PREDICT_OUT),
        ("out",),
    ),
    "DICOM": Kind("series/1.dcm", BYTES, ("predict", "run", "series", *PREDICT_OUT), ("out",)),
    "weights": Kind(
        "run/stages/consolidation/weights.safetensors",
        (*BYTES, *changes_in_header(2000)),
        ("predict", "run", "scan.nii", *PREDICT_OUT),
        ("out",),
    ),
    "stage.json": Kind(
        "run/stages/infection/stage.json",
        TEXT,
        ("predict", "run", "scan.nii", *PREDICT_OUT),
        ("out",),
    ),
    "saved state": Kind(
        "half/stages/infection/last/state.safetensors",
        (*BYTES, *changes_in_header(2000)),
        ("train", "half/recipe.yaml", "--out", "half", "--resume"),
        ("half",),
    ),
    "rows": Kind("run/scores.csv", TEXT, ("report", "run"), ("run/report.html",)),
    "log": Kind("run/log.jsonl", TEXT, ("report", "run"), ("run/report.html",)),
    "manifest": Kind("run/manifest.json", TEXT, ("manifest", "verify", "run"), codes=(1, 2)),
}
