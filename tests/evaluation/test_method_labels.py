import pandas as pd
import pytest
from pydantic import ValidationError

from wsseg.evaluation.method_labels import label_methods, method_label, recipe_label, recipe_name
from wsseg.evaluation.published import PublishedResults


def test_the_name_of_a_method_starts_with_its_recipe() -> None:
    assert recipe_name("phi2 midpoint_hu=-34 width_hu=220") == "phi2"
    assert recipe_name("threshold †") == "threshold"


def test_only_methods_with_settings_chosen_on_test_masks_are_marked() -> None:
    chosen = {"phi2": "test masks", "phi1": "training masks"}
    rows = pd.DataFrame({"method": ["phi2 a=1", "phi1", "threshold"], "dice": [0.1, 0.2, 0.3]})
    shown = label_methods(rows, chosen)  # type: ignore[arg-type]
    assert list(shown["method"]) == ["phi2 a=1 †", "phi1", "threshold"]
    assert list(rows["method"]) == ["phi2 a=1", "phi1", "threshold"]
    assert method_label("phi2", {}) == "phi2"


def test_the_label_of_a_recipe_has_the_mark_but_no_settings() -> None:
    assert recipe_label("phi2 midpoint_hu=-34 †") == "phi2 †"
    assert recipe_label("phi2 midpoint_hu=-34") == "phi2"


def test_a_published_note_on_an_unknown_figure_is_an_error() -> None:
    with pytest.raises(ValidationError, match="rates"):
        PublishedResults.model_validate({"source": "Wu 2020", "notes": {"roc": "above"}})
