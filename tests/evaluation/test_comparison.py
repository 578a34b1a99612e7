import pandas as pd
import pytest
from pydantic import ValidationError

from wsseg.evaluation.method_labels import label_methods, method_label, recipe_label, recipe_name
from wsseg.evaluation.published import PublishedResults


def test_a_method_is_called_after_its_recipe_and_settings() -> None:
    assert recipe_name("phi2 midpoint_hu=-34 width_hu=220") == "phi2"
    assert recipe_name("threshold †") == "threshold"


def test_only_what_was_chosen_on_test_masks_is_marked() -> None:
    chosen = {"phi2": "test masks", "phi1": "training masks"}
    rows = pd.DataFrame({"method": ["phi2 a=1", "phi1", "threshold"], "dice": [0.1, 0.2, 0.3]})
    shown = label_methods(rows, chosen)  # type: ignore[arg-type]
    assert list(shown["method"]) == ["phi2 a=1 †", "phi1", "threshold"]
    assert list(rows["method"]) == ["phi2 a=1", "phi1", "threshold"]
    assert method_label("phi2", {}) == "phi2"


def test_a_recipe_keeps_the_mark_and_drops_the_settings() -> None:
    assert recipe_label("phi2 midpoint_hu=-34 †") == "phi2 †"
    assert recipe_label("phi2 midpoint_hu=-34") == "phi2"


def test_a_note_belongs_to_a_figure() -> None:
    with pytest.raises(ValidationError, match="rates"):
        PublishedResults.model_validate({"source": "Wu 2020", "notes": {"roc": "above"}})
