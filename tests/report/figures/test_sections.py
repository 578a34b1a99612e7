import pandas as pd

from wsseg.report.figures.sections import MAX_METHODS, methods_with_scans


def test_scans_are_shown_for_the_compared_methods_and_the_best_others() -> None:
    """Twelve recipes, each better than the previous one; the worst is the baseline."""
    methods = [f"m{number}" for number in range(12)]
    found = pd.DataFrame({"method": methods, "dice_shared": [number / 12 for number in range(12)]})
    assert methods_with_scans(found, ("m0", None)) == ["m0", "m7", "m8", "m9", "m10", "m11"]
    assert len(methods_with_scans(found, ())) == MAX_METHODS
    assert methods_with_scans(found.head(3), ()) == methods[:3]
