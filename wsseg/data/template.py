"""Templates of the tables that describe a cohort."""

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

Replace the example rows with your own. Columns may be separated by commas, semicolons or tabs.
Leave cells empty if you do not know their values.
To use the tables in a recipe, write: cohort: {use: table, path: cohort.csv}

cohort.csv: one row per scan
    case         its name: letters, digits, "-", "_" and "."; results are named after it
    patient      all scans of a patient are in the same part of a split (default: the case)
    site         the hospital or scanner, for tables of results (may be empty)
    split        train, val, test, or empty
    image        a NIfTI file, or a folder with a DICOM series; relative to this folder
    image.NAME   instead of image: the files of several sequences of a case, such as image.t1
    mask.NAME    a NIfTI file of 0 and 1 on the grid of the image (empty: no mask was drawn)
    tag.CLASS    1 or yes: present, 0 or no: absent, a number such as 0.5: present with this
                 probability, empty: unknown; a column for each class
    scribble.CLASS  optional: a NIfTI file with 1 where the class is, 2 where it is not, and 0
                 where nothing is known
    box.CLASS    optional: boxes that contain all pixels of the class, as x y width height in
                 pixels, separated by /; x y z width height depth in a scan
    share.CLASS  optional: the share of the stage's region that the class covers, such as 25-50 %

slices.csv: tags of single slices; delete the file if you have none
    case         as in cohort.csv
    slice        counted from 0, as in the image file
    tag.CLASS    as in cohort.csv
"""


def write_template(folder: Path) -> list[Path]:
    """Write cohort.csv, slices.csv and a guide to them into `folder`, and return their paths.

    Raises:
        InputError: One of the files exists.
    """
    texts = {"cohort.csv": COHORT, "slices.csv": SLICES, "columns.md": GUIDE}
    paths = [folder / name for name in texts]
    if existing := [path for path in paths if path.exists()]:
        raise InputError(f"{existing[0]}: the file already exists. Choose another folder.")
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths
