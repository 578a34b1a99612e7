"""Files, locks, processes and devices; knows nothing of segmentation."""
