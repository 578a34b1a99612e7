import warnings
from base64 import b64decode
from collections.abc import Callable

import pandas as pd
import pytest

from wsseg.evaluation.summary import summarise
from wsseg.report.figures.sections import (
    MAX_METHODS,
    dice_figures,
    error_figures,
    methods_with_scans,
    score_figures,
    settings_figures,
    training_figures,
)
from wsseg.report.figures.style import colour

Suite = Callable[..., pd.DataFrame]
LONG = "a-name-of-one-hundred-letters-" + "x" * 70


@pytest.mark.parametrize("settings", ["", " midpoint=1", " midpoint=1 share=0.25 width=10 other=7"])
def test_long_names_fit_in_every_figure_and_are_in_full_in_its_caption(
    suite: Suite, settings: str
) -> None:
    """matplotlib warns if a label leaves no room for the axes, in both widths of a figure."""
    methods = [f"phi2-{LONG}{settings}", f"phi2-other-{LONG}{settings.replace('1', '2', 1)}"]
    rows = suite(tuple(methods))
    columns = {name: str(name).replace("consolidation", f"{LONG}_consolidation") for name in rows}
    summary = summarise(rows)
    epoch = {"stage": LONG, "learn": "em", "epochs": 2, "loss": 0.5}
    epoch |= {"target_share": 0.3, "probe_share": 0.3, "flip_rate": 0.0}
    curves = {
        method: [epoch | {"epoch": 1}, epoch | {"epoch": 2, "loss": 0.1 * number}]
        for number, method in enumerate(methods)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = [
            *dice_figures(rows, summary, LONG),
            *settings_figures(rows, summary, LONG),
            *error_figures(rows, summary, LONG),
            *score_figures(rows.rename(columns=columns), summary),
            *training_figures(curves, summary),
        ]
    for picture in pictures:
        assert LONG not in drawn(picture.uri) + drawn(picture.narrow_uri), picture.alt
        names_methods = "phi2-" in drawn(picture.uri)
        assert not names_methods or f"phi2-{LONG}" in picture.caption, picture.alt


def test_a_method_has_the_same_colour_in_all_figures_with_and_without_a_collapsed_one(
    suite: Suite,
) -> None:
    rows = suite(("phi1", "phi2"))
    rows["run.health"] = ["targets fill the region" if m == "phi1" else "" for m in rows["method"]]
    summary = summarise(rows)
    curves = {"phi2": [{"stage": "s", "learn": "masks", "epoch": e, "loss": 1 / e} for e in (1, 2)]}
    pictures = [
        *dice_figures(rows, summary, "consolidation"),
        *error_figures(rows, summary, "consolidation"),
        *score_figures(rows, summary),
        *training_figures(curves, summary),
    ]
    by_method = [p for p in pictures if "by their location" not in p.alt]  # coloured by kind
    assert len(by_method) == len(pictures) - 1
    for picture in by_method:
        assert colour(1) in drawn(picture.uri), picture.alt
        assert (colour(0) in drawn(picture.uri)) == ("Dice" in picture.alt), picture.alt


@pytest.mark.parametrize(
    "kept",
    [
        "method == 'phi2' or seed == 0",
        "(method == 'phi2') == (seed == 1)",
        "case == 'case 1' and seed == 0",
    ],
    ids=["a method without seed 1", "no common rows", "a single case"],
)
def test_methods_with_different_rows_or_a_single_row_are_drawn(
    suite: Suite, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsseg.report.figures.sections.svg", lambda _: "<svg/>")
    rows = suite().query(kept)
    summary = summarise(rows)
    figures = (
        dice_figures(rows, summary, "consolidation"),
        settings_figures(rows, summary, "consolidation"),
        error_figures(rows, summary, "consolidation"),
        score_figures(rows, summary),
    )
    assert all(figures)
    for picture in (each for pictures in figures for each in pictures):
        differ = "The methods differ in cases, seeds or folds." in picture.caption
        assert differ == ("method" in kept), picture.alt


def drawn(uri: str) -> str:
    return b64decode(uri.partition("base64,")[2]).decode()


def test_scans_are_shown_for_the_compared_methods_and_the_best_others() -> None:
    """Twelve recipes, each better than the previous one; the worst is the baseline."""
    methods = [f"m{number}" for number in range(12)]
    found = pd.DataFrame({"method": methods, "dice_shared": [number / 12 for number in range(12)]})
    assert methods_with_scans(found, ("m0", None)) == ["m0", "m7", "m8", "m9", "m10", "m11"]
    assert len(methods_with_scans(found, ())) == MAX_METHODS
    assert methods_with_scans(found.head(3), ()) == methods[:3]
