from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest


def error_places(fp: int, fn: int) -> dict[str, float]:
    """Half of the errors are at the border; one dilation halves the false positives."""
    return {
        "fp_dilated_0_voxels": fp,
        "negative_dilated_0_voxels": 100.0,
        "fp_dilated_1_voxels": fp / 2,
        "negative_dilated_1_voxels": 80.0,
        "fp_border_voxels": fp / 2,
        "fp_thin_voxels": fp / 5,
        "fn_border_voxels": fn / 2,
    }


def prior_columns(tp: int, fp: int, fn: int) -> dict[str, float]:
    """The prior alone has twice the false positives of the network, both together as many."""
    size = tp + fp + fn
    counts = {"prior": (tp, 2 * fp, fn), "both": (tp, fp, fn)}
    return {
        f"{source}_{name}": value
        for source, (t, p, n) in counts.items()
        for name, value in {
            "dice": 2 * t / (2 * t + p + n) if size else np.nan,
            "tp_voxels": t,
            "fp_voxels": p,
            "fn_voxels": n,
        }.items()
    }


@pytest.fixture(scope="session")
def suite() -> Callable[..., pd.DataFrame]:
    """Return a function that makes the rows of a suite of two seeds.

    Cases 0 and 4 of 8 have no target; in case 0 it is not predicted either.
    """

    def make(methods: tuple[str, ...] = ("threshold", "phi2"), cases: int = 8) -> pd.DataFrame:
        generator = np.random.default_rng(0)
        rows = []
        for strength, method in enumerate(methods, 1):
            for seed in (0, 1):
                for case in range(cases):
                    tp = 0 if case % 4 == 0 else 40 * strength + int(generator.integers(20))
                    fp, fn = (0, 0) if case == 0 else (10, 5 if case % 4 else 0)
                    size = 2 * tp + fp + fn
                    dice = 2 * tp / size if size else np.nan
                    rows.append(
                        {
                            "method": method,
                            "seed": seed,
                            "fold": "",
                            "case": f"case {case}",
                            "patient": f"P{case // 2}",
                            "site": "A",
                            "tag.consolidation": float(case % 4 > 0),
                            "dice": dice,
                            "tp_voxels": tp,
                            "fp_voxels": fp,
                            "fn_voxels": fn,
                            "tpr": 0.5,
                            "fpr": 0.1,
                            "tn_voxels": 90.0,
                            "positive_voxels": tp + fn,
                            "negative_voxels": 100.0,
                            "hd95_mm": 4.0 if tp else np.nan,
                            "volume_error_ml": fp - fn,
                            "infection.dice": 0.7,
                            "severity": case / 10,
                            "severity_true": case / 9,
                            "consolidation_score": tp / 1000,
                            **error_places(fp, fn),
                            **(prior_columns(tp, fp, fn) if method.startswith("phi2") else {}),
                        }
                    )
        return pd.DataFrame(rows)

    return make
