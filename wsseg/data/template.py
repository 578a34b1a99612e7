"""Tables to start from."""

from pathlib import Path

from wsseg.errors import InputError
from wsseg.runtime.files import write_text

COHORT = """\
case,patient,site,split,image,mask.lesion,tag.lesion
anna-1,anna,north,train,scans/anna-1.nii.gz,masks/anna-1.nii.gz,1
bert-1,bert,north,train,scans/bert-1.nii.gz,,0
bert-2,bert,north,train,scans/bert-2,,
cleo-1,cleo,south,test,scans/cleo-1.nii.gz,masks/cleo-1.nii.gz,1
"""
SLICES = """\
case,slice,tag.lesion
bert-2,0,0
bert-2,17,1
"""
GUIDE = """\
# Two tables that describe your scans

Replace the made-up rows by yours; what you do not know, leave empty.
Use it in a recipe as: cohort: {use: table, path: cohort.csv}

cohort.csv: a row a scan
    case         its name: letters, digits, "-", "_", "."; results are called after it
    patient      scans of one patient stay on one side of every split (empty: a patient of its own)
    site         where it was made, for tables of results (may be empty)
    split        train, test, or empty
    image        a NIfTI file, or a folder of DICOM slices; relative to this folder
    mask.NAME    a NIfTI file of 0 and 1 on the image's own grid (empty: nobody outlined it)
    tag.CLASS    1 present, 0 absent, empty unknown; one column for each class of the recipe

slices.csv: tags of single slices, where they are known; without any, delete it
    case         as in cohort.csv
    slice        counted from 0 as in the image file
    tag.CLASS    1, 0 or empty
"""


def write_template(folder: Path) -> list[Path]:
    """Write cohort.csv, slices.csv and a guide to them into `folder`, and return their paths.

    Raises:
        InputError: One of them is there already.
    """
    texts = {"cohort.csv": COHORT, "slices.csv": SLICES, "columns.md": GUIDE}
    paths = [folder / name for name in texts]
    if there := [path for path in paths if path.exists()]:
        raise InputError(f"{there[0]}: is there already; choose another folder")
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths
