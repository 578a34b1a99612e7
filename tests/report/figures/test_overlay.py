import numpy as np
import pandas as pd
import pytest

from wsseg.report.figures.overlay import Overlay, draw_overlay, key_cases, key_slice
from wsseg.report.figures.style import webp

IMAGE = np.linspace(-1000, 200, 40 * 60).reshape(40, 60)


def square(low: int, high: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask = np.zeros((40, 60), bool)
    mask[low:high, low:high] = True
    return mask


def test_annotated_and_predicted_contours_are_side_by_side() -> None:
    masks = {"infection": square(5, 30), "consolidation": square(10, 20)}
    figure = draw_overlay(Overlay("a case", IMAGE, masks, masks, window=(-1000, 200)))
    left, right = figure.axes
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["annotated", "predicted"]
    assert left.images[0].get_clim() == (-1000, 200)
    assert len(left.collections) == 2
    green, red = (np.asarray(lines.get_edgecolor())[0, :3] for lines in left.collections)
    assert green.argmax() == 1
    assert red.argmax() == 0


def test_a_contour_follows_the_edge_of_the_mask() -> None:
    figure = draw_overlay(Overlay("a case", IMAGE, {"infection": square(5, 30)}))
    (path,) = figure.axes[1].collections[0].get_paths()
    box = path.get_extents()
    assert box.bounds == pytest.approx((4.5, 4.5, 25, 25))


def test_the_contour_of_a_mask_at_the_border_of_the_image_is_closed() -> None:
    figure = draw_overlay(Overlay("a case", IMAGE, {"infection": np.ones((40, 60), bool)}))
    (path,) = figure.axes[1].collections[0].get_paths()
    assert path.get_extents().bounds == pytest.approx((-0.5, -0.5, 60, 40))


@pytest.mark.filterwarnings("error")
def test_a_case_without_annotation_is_titled_not_annotated() -> None:
    figure = draw_overlay(Overlay("a case", IMAGE, {"infection": square(0, 0)}))
    assert figure.axes[0].get_title(loc="left") == "not annotated"
    assert webp(figure)[8:12] == b"WEBP"


def test_without_a_window_the_image_is_drawn_between_percentiles_1_and_99() -> None:
    figure = draw_overlay(Overlay("a case", IMAGE, {}))
    assert figure.axes[0].images[0].get_clim() == pytest.approx(np.percentile(IMAGE, [1, 99]))


def test_the_key_slice_has_most_true_voxels_or_most_predicted_ones() -> None:
    predicted, true = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    predicted[2] = True
    assert key_slice(predicted) == 2
    assert key_slice(predicted, true) == 2
    true[1, 0, 0] = True
    assert key_slice(predicted, true) == 1


def rows(*dice: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"method": "a", "seed": 0, "case": f"c{k}", "patient": f"c{k}", "dice": value}
            for k, value in enumerate(dice)
        ]
    )


def test_key_cases_are_the_best_the_median_and_the_three_worst() -> None:
    found = key_cases(rows(0.2, np.nan, 0.9, 0.5, 0.4, 0.1, 0.45), "a")
    assert found == {
        "best": "c2",
        "median": "c6",
        "third worst": "c4",
        "second worst": "c0",
        "worst": "c5",
    }


def test_few_cases_are_not_chosen_twice() -> None:
    assert key_cases(rows(0.2, 0.9, 0.5), "a") == {"best": "c1", "median": "c2", "worst": "c0"}
    assert key_cases(rows(0.2, 0.9), "a") == {"best": "c1", "worst": "c0"}
    assert key_cases(rows(0.2), "a") == {"best": "c0"}
    assert key_cases(rows(np.nan), "a") == {}
    assert key_cases(rows(0.2).drop(columns="dice"), "a") == {}
