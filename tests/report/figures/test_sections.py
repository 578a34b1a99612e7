import pandas as pd

from wsseg.report.figures.sections import MOST_METHODS, pictured


def test_scans_are_shown_of_few_methods_the_best_and_those_compared() -> None:
    """Twelve recipes, each better than the one before; the worst is the baseline."""
    methods = [f"m{number}" for number in range(12)]
    found = pd.DataFrame({"method": methods, "dice_shared": [number / 12 for number in range(12)]})
    assert pictured(found, ("m0", None)) == ["m0", "m7", "m8", "m9", "m10", "m11"]
    assert len(pictured(found, ())) == MOST_METHODS
    assert pictured(found.head(3), ()) == methods[:3]
