from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def suite() -> Callable[..., pd.DataFrame]:
    """Make the rows of a suite: some cases without the target, some masks empty."""

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
                        }
                    )
        return pd.DataFrame(rows)

    return make
