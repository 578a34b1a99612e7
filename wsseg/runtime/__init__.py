"""Files, locks, processes, threads and devices; independent of segmentation."""
