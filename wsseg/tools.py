"""Functions for plugins: images, arrays, tables, spacings, files, cache, downloads and threads."""

from wsseg.components.array_cases import ArrayCase, cached_cases
from wsseg.components.backbones import Padded
from wsseg.data.box_cells import parse_boxes
from wsseg.data.coco import read_coco_boxes
from wsseg.data.csv_table import CsvTable, parse_columns, read_csv_table
from wsseg.data.download import download
from wsseg.data.nifti import write_nifti
from wsseg.data.reading import (
    read_case,
    read_case_grid,
    read_case_mask,
    read_grid,
    read_mask,
    read_volume,
)
from wsseg.data.share_cells import parse_share
from wsseg.data.spacing import exceeds, in_voxels, rounded_mm
from wsseg.data.split import draw_patients
from wsseg.data.tag_cells import parse_tag, tag_cell
from wsseg.runtime.cache_leases import lease
from wsseg.runtime.files import (
    atomic_folder,
    atomic_write,
    cache_folder,
    fingerprint,
    sha256,
    write_text,
)
from wsseg.runtime.tensor_files import read_tensors
from wsseg.runtime.threads import map_in_threads, run_in_threads

__all__ = [
    "ArrayCase",
    "CsvTable",
    "Padded",
    "atomic_folder",
    "atomic_write",
    "cache_folder",
    "cached_cases",
    "download",
    "draw_patients",
    "exceeds",
    "fingerprint",
    "in_voxels",
    "lease",
    "map_in_threads",
    "parse_boxes",
    "parse_columns",
    "parse_share",
    "parse_tag",
    "read_case",
    "read_case_grid",
    "read_case_mask",
    "read_coco_boxes",
    "read_csv_table",
    "read_grid",
    "read_mask",
    "read_tensors",
    "read_volume",
    "rounded_mm",
    "run_in_threads",
    "sha256",
    "tag_cell",
    "write_nifti",
    "write_text",
]
